"""Results of a table's tests, as plain frozen data: intervals, differences from the reference, group letters."""

from dataclasses import dataclass
from typing import Literal

from ftlab.record import MetricColumn

# What a test result applies to. With one seed each it applies to these trained models only, not to the methods.
InferenceScope = Literal["methods", "trained models"]


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a mean or of a difference, in the metric's unit.

    Attributes:
        low: lower end.
        high: upper end.
        level: confidence, e.g. 0.95.
        source: random quantities behind it, in words, such as `t over 3 seeds` or `bootstrap over 445 examples`.
    """

    low: float
    high: float
    level: float
    source: str


@dataclass(frozen=True)
class Contrast:
    """Difference of one row from the table's reference row in one metric, with its test.

    Attributes:
        row: label of the row.
        reference: label of the reference row.
        difference: row minus reference, in the metric's unit, mean over the seeds that both have.
        interval: of the difference; None if it cannot be computed.
        p: two-sided p value; None if no test is possible.
        adjusted: p after Holm's correction over the family.
        test: name of the test, e.g. `exact McNemar`, with its random quantities.
        effect: effect size; None if there is none.
        effect_name: what `effect` is, e.g. `Cohen's d_z`.
        seeds: number of seeds in the test.
        examples: number of test examples in the test; 0 if it uses none.
        scope: what the result applies to.
        detectable: smallest true difference that this test would detect with 80 % power at this many seeds and
            examples and the alpha of the family; None if it cannot be computed.
        note: why something is missing, or another remark for the reader; may be empty.
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
    scope: InferenceScope
    detectable: float | None
    note: str = ""

    def is_significant(self, alpha: float) -> bool:
        """Whether the difference is significant after the correction."""
        return self.adjusted is not None and self.adjusted < alpha


@dataclass(frozen=True)
class Family:
    """Family of hypotheses of one table: every row against one reference, Holm-corrected (Holm, 1979).

    Attributes:
        reference: label of the reference row.
        column: the metric that was tested.
        alpha: family-wise error rate.
        contrasts: one per row but the reference, in the table's order.
        intervals: label of a row -> 95 % interval of its mean; only rows that have one.
        letters: label of a row -> group letter; rows with the same letter do not differ significantly.
        notes: sentences for the reader, such as why nothing could be tested.
    """

    reference: str
    column: MetricColumn
    alpha: float
    contrasts: tuple[Contrast, ...]
    intervals: dict[str, Interval]
    letters: dict[str, str]
    notes: tuple[str, ...] = ()

    def contrast_of(self, label: str) -> Contrast | None:
        """Return the contrast of a row; None for the reference, and for rows that are not in it."""
        return next((contrast for contrast in self.contrasts if contrast.row == label), None)
