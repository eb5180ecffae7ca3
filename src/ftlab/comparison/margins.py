"""Statements within a margin: rows as good as the best row, or as a declared reference; and worse by more.

Against the best, a row is as good if it is shown to be at most the margin behind every other row (Hsu, 1984,
"Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best"): one-sided tests at alpha /
(rows - 1), which hold for all rows at once because each false statement needs an error in the comparison with the true
best. Against a declared reference the one-sided tests are corrected by Holm's method.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, isinf
from statistics import fmean

from ftlab.comparison.pairs import Pair, RowMeasurements, pair_rows
from ftlab.comparison.stats.inference import InferenceScope, MarginStatement
from ftlab.comparison.stats.metric_range import largest_difference
from ftlab.comparison.stats.pooled_variance import PooledVariances
from ftlab.comparison.stats.sample_size import MAX_EXAMPLES, MAX_SEEDS, smallest_number
from ftlab.comparison.stats.variance import DifferenceEstimate, VarianceComponents

_MAX_FACTOR = 100  # times the present seeds and examples
_MAX_BETTER_ROWS = 5  # of the rows ahead by more than the margin, as many of the best are tested against a row


@dataclass(frozen=True)
class _Gap:
    """How far a row is behind another one: estimate, in the direction in which more is worse for the row."""

    estimate: DifferenceEstimate
    components: VarianceComponents | None
    pair: Pair

    def half_width(self, alpha: float, seeds: int | None = None, examples: int | None = None) -> float:
        """Return the distance of the one-sided bound, now or with other numbers of seeds or examples."""
        examples = examples or self.pair.num_examples
        estimate = self._estimate(seeds or self.pair.num_seeds, examples)
        if not estimate.standard_error and examples:
            return self._half_width_without_scatter(alpha, examples)
        return estimate.half_width(2 * alpha)

    def lower(self, alpha: float, seeds: int | None = None, examples: int | None = None) -> float:
        """Return the lower one-sided bound, with the numbers of `half_width`."""
        return self.estimate.difference - self.half_width(alpha, seeds, examples)

    def upper(self, alpha: float, seeds: int | None = None, examples: int | None = None) -> float:
        """Return the upper one-sided bound, with the numbers of `half_width`."""
        return self.estimate.difference + self.half_width(alpha, seeds, examples)

    def _estimate(self, seeds: int, examples: int) -> DifferenceEstimate:
        now, pair = self.estimate, self.pair
        if (seeds, examples) == (pair.num_seeds, pair.num_examples):
            return now
        if self.components is None:  # only seeds are random
            added = seeds - pair.num_seeds
            return replace(now, seed_variance=now.seed_variance * pair.num_seeds / seeds, seed_df=now.seed_df + added)
        expected = self.components.expected_difference(seeds, examples)
        return expected if pair.seeds_matter else replace(expected, seed_variance=0.0, seed_df=inf)

    def _half_width_without_scatter(self, alpha: float, examples: int) -> float:
        """Return the distance of the bound if the difference is the same on all examples, as of two perfect rows.

        On a share of the examples that these ones are likely to miss, the difference may be as large as the metric
        allows: 1 - alpha^(1 / examples), the upper bound of a rate of which no case was seen (Clopper and Pearson,
        1934).
        """
        largest = largest_difference(self.pair.first.metric)
        return 0.0 if isinf(largest) else (1 - alpha ** (1 / examples)) * (largest + abs(self.estimate.difference))


class MarginTests:
    """Tests within a margin between the rows of a table, each pair of rows estimated once."""

    def __init__(
        self, rows: Sequence[RowMeasurements], pool: PooledVariances, *, higher_is_better: bool, margin: float
    ) -> None:
        """Keep what the tests need.

        Args:
            rows: rows with a value that may be tested against each other, at least 2.
            pool: variances over seeds of these rows.
            higher_is_better: whether higher values of the metric are better.
            margin: in the metric's unit, above 0.
        """
        self._rows, self._pool, self._margin = list(rows), pool, margin
        self._sign = 1.0 if higher_is_better else -1.0
        self._scores = {row.row: self._sign * fmean(row.values.values()) for row in rows}
        self._gaps: dict[tuple[str, str], _Gap | str] = {}

    def against_best(self, alpha: float) -> list[MarginStatement]:
        """Return a statement about each row; the family-wise error rate of `as good` is alpha, and so that of worse."""
        alpha_as_good = alpha / (len(self._rows) - 1)
        # both directions of every pair: which rows are better is not known beforehand
        alpha_worse = alpha_as_good / len(self._rows)
        return [self._statement(row, self._opponents(row), alpha_as_good, alpha_worse) for row in self._rows]

    def against(self, reference: RowMeasurements, alpha: float) -> list[MarginStatement]:
        """Return a statement about each row but the reference, Holm-corrected in each direction."""
        others = [row for row in self._rows if row is not reference]
        gaps = {row.row: self._gap(row, reference) for row in others}
        tested = {label: gap for label, gap in gaps.items() if isinstance(gap, _Gap)}

        def alphas(distance: Callable[[_Gap], float]) -> dict[str, float]:
            """Return the level at which Holm's method tests each row; once one is not rejected, all later ones."""
            p_values = {
                label: gap.estimate.p_of(distance(gap)) / 2 if distance(gap) > 0 else 1.0
                for label, gap in tested.items()
            }
            levels, divisor = {}, len(p_values)
            for label in sorted(p_values, key=lambda label: p_values[label]):
                levels[label] = alpha / divisor
                if p_values[label] <= levels[label]:
                    divisor -= 1
            return levels

        as_good = alphas(lambda gap: self._margin - gap.estimate.difference)
        worse = alphas(lambda gap: gap.estimate.difference - self._margin)
        untested = alpha / max(1, len(others))
        return [
            self._statement(row, [reference], as_good.get(row.row, untested), worse.get(row.row, untested))
            for row in others
        ]

    def _gap(self, row: RowMeasurements, other: RowMeasurements) -> _Gap | str:
        """Return how far a row is behind another one, or why that cannot be tested."""
        key = (row.row, other.row)
        if key not in self._gaps:
            pair = pair_rows(other, row)
            estimated = pair.estimate(self._pool)
            if estimated is None:
                self._gaps[key] = self._gaps[key[::-1]] = pair.obstacle
            else:
                estimate, components = estimated
                difference = self._sign * estimate.difference
                self._gaps[key] = _Gap(replace(estimate, difference=difference), components, pair)
                self._gaps[key[::-1]] = _Gap(replace(estimate, difference=-difference), components, pair)
        return self._gaps[key]

    def _opponents(self, row: RowMeasurements) -> list[RowMeasurements]:
        """Return the rows that a row is tested against.

        Any other row can keep a row from being as good as the best. If it is behind by more than the margin already,
        only rows that are ahead matter, and a few of them are enough.
        """
        others = [other for other in self._rows if other is not row]
        ahead = [other for other in others if self._scores[other.row] - self._scores[row.row] > self._margin]
        if not ahead:
            return others
        return sorted(ahead, key=lambda other: -self._scores[other.row])[:_MAX_BETTER_ROWS]

    def _statement(
        self, row: RowMeasurements, opponents: Sequence[RowMeasurements], alpha_as_good: float, alpha_worse: float
    ) -> MarginStatement:
        gaps = [self._gap(row, other) for other in opponents]
        tested = [gap for gap in gaps if isinstance(gap, _Gap)]
        behind = max(self._scores[other.row] for other in opponents) - self._scores[row.row]
        notes = list(dict.fromkeys(gap for gap in gaps if isinstance(gap, str)))
        scopes = {gap.pair.scope for gap in tested}
        scope: InferenceScope = "trained models" if "trained models" in scopes else "methods"
        low = max((gap.lower(alpha_worse) for gap in tested), default=None)
        high = max((gap.upper(alpha_as_good) for gap in tested), default=None)
        high = None if notes else high
        largest = largest_difference(row.metric)
        statement = MarginStatement(
            row=row.row,
            verdict="open",
            behind=behind,
            low=None if low is None else max(low, -largest),
            high=None if high is None else min(high, largest),
            is_worse=low is not None and low > 0,
            seeds_needed=None,
            examples_needed=None,
            scope=scope,
            note="; ".join(notes),
        )
        if low is not None and low > self._margin:
            return replace(statement, verdict="worse by more")
        if high is not None and high <= self._margin:
            return replace(statement, verdict="as good")
        if notes or not tested:
            return statement

        def decides(**numbers: int) -> bool:
            """Whether these numbers of seeds or examples are expected to decide the row."""
            as_good = all(gap.upper(alpha_as_good, **numbers) <= self._margin for gap in tested)
            return as_good or any(gap.lower(alpha_worse, **numbers) > self._margin for gap in tested)

        examples = smallest_number(lambda n: decides(examples=n), 2, MAX_EXAMPLES)
        if scope == "trained models" or not any(gap.pair.seeds_matter for gap in tested):
            return replace(statement, examples_needed=examples)
        seeds = smallest_number(lambda n: decides(seeds=n), 2, MAX_SEEDS)
        if seeds is not None or examples is not None:
            return replace(statement, seeds_needed=seeds, examples_needed=examples)
        seeds_now = max(gap.pair.num_seeds for gap in tested)
        examples_now = max(gap.pair.num_examples for gap in tested)
        factor = smallest_number(lambda n: decides(seeds=n * seeds_now, examples=n * examples_now), 2, _MAX_FACTOR)
        if factor is None or not examples_now:
            return statement
        return replace(
            statement,
            seeds_needed=factor * seeds_now,
            examples_needed=factor * examples_now,
            both_needed=True,
        )
