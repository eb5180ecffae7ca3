"""Results of a table's tests, as plain frozen data: intervals, differences from the reference, margin statements."""

from dataclasses import dataclass
from typing import Literal

from ftlab.record import MetricColumn

# What a test result applies to. With one seed each it applies to these trained models only, not to the methods.
InferenceScope = Literal["methods", "trained models"]
# Of a row against the best row, or against the declared reference, within a margin.
MarginVerdict = Literal["as good", "worse by more", "open"]


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
class MarginStatement:
    """Whether a row is as good as the best row (or the reference) within a margin, with error control over all rows.

    Attributes:
        row: label of the row.
        verdict: `as good`: at most the margin behind; `worse by more`: more than the margin behind; else `open`.
        behind: how far its mean is behind the best other row (or the reference), in the metric's unit; negative: ahead.
        low: lower simultaneous confidence bound of that; None if nothing could be tested.
        high: upper bound; None if some row could not be tested against it.
        is_worse: whether a row is shown to be better, by however little.
        seeds_needed: seeds of each row that would decide an open row if differences and variances stay as they are;
            None: no number of seeds would, or the row is not open.
        examples_needed: the same for test examples, with the present seeds.
        both_needed: whether it takes these seeds together with these examples, as neither is enough by itself.
        scope: what the statement applies to.
        note: why it could not be decided; may be empty.
    """

    row: str
    verdict: MarginVerdict
    behind: float
    low: float | None
    high: float | None
    is_worse: bool
    seeds_needed: int | None
    examples_needed: int | None
    scope: InferenceScope
    both_needed: bool = False
    note: str = ""

    @property
    def what_would_decide(self) -> str:
        """Return what an open row needs, in words: seeds, test examples, or why neither would help."""
        if self.note:
            return self.note
        numbers = []
        if self.seeds_needed is not None:
            numbers.append(f"{self.seeds_needed:,} seeds")
        if self.examples_needed is not None:
            numbers.append(f"{self.examples_needed:,} test examples")
        if numbers:
            return f"about {(' with ' if self.both_needed else ' or ').join(numbers)} would decide it"
        of_single_seeds = self.high is None or self.scope == "trained models"
        return "more seeds would tell" if of_single_seeds else "too near the margin"


@dataclass(frozen=True)
class MarginStatements:
    """Statements about all rows of a table within one margin.

    Attributes:
        margin: in the metric's unit, above 0.
        reference: label of the reference; None: rows are compared with the best one, whichever that is.
        is_declared: whether the margin was set before the first run, or is the default.
        statements: one per row with a value that may be tested, but the reference, in the table's order.
    """

    margin: float
    reference: str | None
    is_declared: bool
    statements: tuple[MarginStatement, ...]

    @property
    def any_tested(self) -> bool:
        """Whether anything could be tested."""
        return any(statement.low is not None for statement in self.statements)

    def of(self, label: str) -> MarginStatement | None:
        """Return the statement about a row; None if there is none."""
        return next((statement for statement in self.statements if statement.row == label), None)


@dataclass(frozen=True)
class Family:
    """Family of hypotheses of one table: every row against one reference, Holm-corrected (Holm, 1979).

    Attributes:
        reference: label of the reference row.
        column: the metric that was tested.
        alpha: family-wise error rate.
        contrasts: one per row but the reference, in the table's order.
        intervals: label of a row -> 95 % interval of its mean; only rows that have one.
        notes: sentences for the reader, such as why nothing could be tested.
        within_margin: statements about the rows within a margin; None without a margin.
        num_tests: number of tests that p values are corrected for: more than there are contrasts if the reference was
            chosen afterwards, because all pairs count then.
    """

    reference: str
    column: MetricColumn
    alpha: float
    contrasts: tuple[Contrast, ...]
    intervals: dict[str, Interval]
    notes: tuple[str, ...] = ()
    within_margin: MarginStatements | None = None
    num_tests: int = 0

    def contrast_of(self, label: str) -> Contrast | None:
        """Return the contrast of a row; None for the reference, and for rows that are not in it."""
        return next((contrast for contrast in self.contrasts if contrast.row == label), None)

    def outcome_of(self, label: str) -> str | None:
        """Return how a row did against the reference, in a word or two; None if it was not tested."""
        contrast = self.contrast_of(label)
        if contrast is None or contrast.adjusted is None:
            return None
        if not contrast.is_significant(self.alpha):
            return "not told apart"
        return "better" if (contrast.difference > 0) == self.column.higher_is_better else "worse"
