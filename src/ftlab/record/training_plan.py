"""Training plan of a run: what it trains on and for how long, as known before its first step."""

from ftlab.record.parts import Frozen


class TrainingPlan(Frozen):
    """What a run trains on and for how long. Its text leaves the learning rate out: methods have their own."""

    budget: str  # its name
    examples: int  # made of the rows: fewer if some are left out, more or fewer of running text
    rows: int  # training rows within the budget's limit
    all_rows: int  # training rows without it
    max_length: int  # tokens of the longest example that is not cut
    mean_tokens: float | None  # of a training example; null: a mixture
    truncated_share: float | None  # fraction of training rows cut to max_length; null: unknown, or a mixture
    steps: int | None  # optimizer steps; null: as many as fit into `seconds`
    seconds: float | None  # of training, if they are the budget
    batch_size: int  # examples of a step
    lr: float

    def __str__(self) -> str:
        made = "" if self.examples == self.rows else f"{self.examples:,} examples from "
        of_all = "" if self.rows == self.all_rows else f" of {self.all_rows:,}"
        return f"{made}{self.rows:,}{of_all} rows{self._lengths()}, {self._duration()}, budget={self.budget}"

    def _lengths(self) -> str:
        limit = f"at most {self.max_length:,} tokens"
        if self.truncated_share:
            limit = f"{_rounded(self.truncated_share)} cut to {self.max_length:,} tokens"
        mean = "" if self.mean_tokens is None else f", {self.mean_tokens:,.0f} on average"
        return f" ({limit}{mean})"

    def _duration(self) -> str:
        if self.steps is None:
            return f"{self.seconds:g} s in steps of {self.batch_size} examples"
        epochs = self.steps * self.batch_size / self.examples
        unit = "epoch" if f"{epochs:.2g}" == "1" else "epochs"
        return f"{self.steps:,} steps of {self.batch_size} examples ({epochs:.2g} {unit})"


def _rounded(share: float) -> str:
    """Return a share above 0 in percent; neither some rows nor all but some are rounded to none or all."""
    if share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"
