"""What the tests of a table said, as plain frozen data: intervals, differences from the reference, letters."""

from dataclasses import dataclass
from typing import Literal

from ftlab.record import Column

# What a statement is about. With one seed each it is about these trained models alone, never about the methods.
Scope = Literal["methods", "trained models"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a mean or of a difference, in the metric's own unit.

    Attributes:
        low: lower end.
        high: upper end.
        level: confidence, e.g. 0.95.
        source: what was taken to vary, in words, such as `t over 3 seeds` or `bootstrap over 445 examples`.
    """

    low: float
    high: float
    level: float
    source: str


@dataclass(frozen=True)
class Contrast:
    """One row against the table's reference, on one metric.

    Attributes:
        row: label of the row.
        reference: label of the reference row.
        difference: row minus reference, in the metric's unit, mean over the seeds that both have.
        interval: of the difference; None where it cannot be given.
        p: two-sided p value; None where no test is possible.
        adjusted: p after Holm's correction over the family.
        test: the test in words, with what it models, e.g. `exact McNemar`.
        effect: effect size; None where there is none.
        effect_name: what `effect` is, e.g. `Cohen's d_z`.
        seeds: paired seeds behind it.
        examples: paired test examples behind it.
        scope: what the statement is about.
        detectable: smallest true difference that this test would find with 80 % power at this many seeds and
            examples, alpha as of the family; None where it cannot be told.
        note: why something is missing, or what a reader must know; may be empty.
    """

    row: str
    reference: str
    difference: float
    interval: Interval | None
    p: float | None
    adjusted: float | None
    test: str
    effect: float | None
    effect_name: str
    seeds: int
    examples: int
    scope: Scope
    detectable: float | None
    note: str = ""

    def different(self, alpha: float) -> bool:
        """Whether a difference was detected after the correction."""
        return self.adjusted is not None and self.adjusted < alpha


@dataclass(frozen=True)
class Family:
    """The declared family of tests of one table: every row against one reference, Holm-corrected (Holm, 1979).

    Attributes:
        reference: label of the reference row.
        column: the metric that was tested.
        alpha: family-wise error rate.
        contrasts: one per row but the reference, in the table's order.
        intervals: label of a row -> 95 % interval of its mean; rows without one are missing.
        letters: label of a row -> letters; rows that share a letter were not told apart.
        notes: sentences for the reader, such as why nothing could be tested.
    """

    reference: str
    column: Column
    alpha: float
    contrasts: tuple[Contrast, ...]
    intervals: dict[str, Interval]
    letters: dict[str, str]
    notes: tuple[str, ...] = ()
