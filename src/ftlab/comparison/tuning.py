"""Learning-rate searches: the rates tried, their validation results and their cost."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from ftlab.comparison.formats import time_scale
from ftlab.comparison.settings import determining_settings
from ftlab.comparison.stats.estimate import Estimate
from ftlab.record import RunRecord

SEARCHED_SETTING = "optim.lr"


@dataclass(frozen=True)
class RateResult:
    """Result of one learning rate, over all seeds that the search gives each rate.

    Attributes:
        lr: learning rate.
        value: validation result, the mean over its seeds; None if at least one of them has no value.
        failed: whether it cannot get a value: it diverged, ran out of memory, or failed otherwise.
        pruned: whether it will not get a value because others did better.
        seconds: training time of its runs; for a failed run without a measured time, the time from start to end.
    """

    lr: float
    value: float | None
    failed: bool
    pruned: bool
    seconds: float


@dataclass(frozen=True)
class Tuning:
    """Learning-rate search of one configuration.

    Attributes:
        method: name of the method.
        watched: metric that selects the rate, such as `val/loss`.
        rates: results, from the lowest rate to the highest.
        higher_is_better: whether higher values of that metric are better.
    """

    method: str
    watched: str
    rates: tuple[RateResult, ...]
    higher_is_better: bool = False

    @property
    def best(self) -> float | None:
        """Return the best value; None if no rate has one."""
        return None if not self._values else max(self._values) if self.higher_is_better else min(self._values)

    @property
    def lr(self) -> float | None:
        """Return the rate with the best value, the lowest if several are equal; None if no rate has a value."""
        return next((rate.lr for rate in self.rates if rate.value is not None and rate.value == self.best), None)

    @property
    def median(self) -> float | None:
        """Return the median of the values, the result to expect from a rate taken from the grid at random."""
        return median(self._values) if self._values else None

    @property
    def value_range(self) -> float | None:
        """Return the distance of the best value from the worst, a measure of how much depends on the rate."""
        return max(self._values) - min(self._values) if self._values else None

    @property
    def failed(self) -> int:
        """Return how many rates failed."""
        return sum(rate.failed for rate in self.rates)

    @property
    def pruned(self) -> int:
        """Return how many rates were pruned."""
        return sum(rate.pruned for rate in self.rates)

    @property
    def unfinished(self) -> int:
        """Return how many rates have runs that can still be resumed."""
        return len(self.rates) - self.failed - self.pruned - len(self._values)

    @property
    def seconds(self) -> float:
        """Return the seconds that all trials took, failed ones included."""
        return sum(rate.seconds for rate in self.rates)

    @property
    def _values(self) -> list[float]:
        return [rate.value for rate in self.rates if rate.value is not None]

    def __str__(self) -> str:
        """Return the search in a sentence."""
        states = ((self.pruned, "pruned"), (self.failed, "failed"), (self.unfinished, "open"))
        counts = [f"{number} {what}" for number, what in states if number]
        tried = ", ".join([f"{len(self.rates)} learning rates tried", *counts])
        scale = time_scale([self.seconds])
        took = f"{scale.format(Estimate(self.seconds, None, 1, 1))} {scale.unit}"
        if self.best is None:
            return f"{self.method}: {tried} in {took}; none has a value."
        return (
            f"{self.method}: {tried} in {took}; {self.watched} is {self.best:.4f} at the best, {self.lr:g}; "
            f"the median is {self.median:.4f}, the spread {self.value_range:.4f}.{self._edge_hint}"
        )

    @property
    def _edge_hint(self) -> str:
        """Return a hint if the best rate is at an end of the grid: an even better one may be outside."""
        ends = {self.rates[0].lr: "lowest", self.rates[-1].lr: "highest"}
        if len(self.rates) < 3 or self.lr not in ends:
            return ""
        return f" The best is the {ends[self.lr]} rate tried: widen method.search.lr."


def tuning_from_trials(trials: Sequence[RunRecord]) -> Tuning:
    """Return the search with these trials, which are of one configuration; at least one."""
    by_rate: dict[float, list[RunRecord]] = defaultdict(list)
    for record in trials:
        by_rate[record.config["optim"]["lr"]].append(record)
    watched = trials[0].watched
    return Tuning(
        method=trials[0].method,
        watched=watched.metric if watched else "the validation",
        rates=tuple(_rate_result(lr, records) for lr, records in sorted(by_rate.items())),
        higher_is_better=watched is not None and watched.higher_is_better,
    )


def tunings_by_search(trials: Iterable[tuple[Path, RunRecord]]) -> dict[Hashable, Tuning]:
    """Return the search of each group of trials, by its `search_key`."""
    groups: dict[Hashable, list[RunRecord]] = defaultdict(list)
    for folder, record in trials:
        groups[search_key(folder, record)].append(record)
    return {key: tuning_from_trials(records) for key, records in groups.items()}


def search_key(folder: Path, record: RunRecord) -> Hashable:
    """Return a key that the trials of a search share with the runs that use its rate."""
    settings = {key: value for key, value in determining_settings(record).items() if key != SEARCHED_SETTING}
    names = (record.config.get("search", {}).get("name"), record.method, record.model, record.dataset)
    return (folder.resolve().parent, *names, json.dumps(settings, sort_keys=True))


def _rate_result(lr: float, records: Sequence[RunRecord]) -> RateResult:
    values = [record.objective for record in records if record.status == "completed"]
    present = [value for value in values if value is not None]
    failed = any(
        record.status in ("failed", "oom") or (record.status == "completed" and record.objective is None)
        for record in records
    )
    return RateResult(
        lr=lr,
        value=fmean(present) if len(present) == len(records) else None,
        failed=failed,
        pruned=not failed and any(record.status == "pruned" for record in records),
        seconds=sum(map(_seconds, records)),
    )


def _seconds(record: RunRecord) -> float:
    if record.cost is not None:
        return record.cost.train_s
    if record.finished_at is None:
        return 0.0
    return (datetime.fromisoformat(record.finished_at) - datetime.fromisoformat(record.started_at)).total_seconds()
