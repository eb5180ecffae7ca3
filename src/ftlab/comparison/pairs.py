"""Pair of rows: which of their seeds and test examples are compared, and the estimated difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ftlab.comparison.predictions import ExamplePredictions, UnusablePredictions, shared_contributions
from ftlab.comparison.stats.inference import InferenceScope
from ftlab.comparison.stats.layout import (
    TwoWayLayout,
    examples_only_difference,
    paired_difference,
    seeds_only_difference,
    unpaired_difference,
)
from ftlab.comparison.stats.pooled_variance import PooledVariances
from ftlab.comparison.stats.variance import ROUNDING_ERROR, Array, DifferenceEstimate, VarianceComponents
from ftlab.core.errors import reason

FIXED_EXAMPLES = "the test examples are taken as they are: of other examples the test says nothing"
_MIN_COMMON_SEEDS = 0.75  # of the larger number of seeds; with fewer, pairing throws too many away


@dataclass(frozen=True)
class RowMeasurements:
    """Values of one metric for one row of a table.

    Attributes:
        row: label of the row.
        metric: name of the metric.
        values: seed -> the metric.
        predictions: seed -> predictions on the test examples; only seeds whose predictions can be used.
        data_hashes: hashes of the runs' data, if they are known.
    """

    row: str
    metric: str
    values: dict[int, float]
    predictions: dict[int, ExamplePredictions]
    data_hashes: frozenset[str] = frozenset()

    def contributions(self, seeds: Sequence[int]) -> Array | None:
        """Return the contributions of the examples that these seeds share, (seeds, examples); None if unusable."""
        if not seeds or any(seed not in self.predictions for seed in seeds):
            return None
        try:
            return shared_contributions([self.predictions[seed] for seed in seeds])[0]
        except (UnusablePredictions, ValueError):
            return None


@dataclass(frozen=True)
class Pair:
    """Two rows with the seeds and examples in which they are compared; both have a value.

    Attributes:
        first: a row.
        second: the row that is subtracted from it.
        first_seeds: seeds of the first row, in ascending order.
        second_seeds: seeds of the second.
        are_paired: whether seeds are paired; then both lists are the same.
        contributions: of the common examples, (seeds, examples) of each; None if predictions cannot be used.
        example_ids: ids of these examples, (examples,).
        obstacle: why nothing can be tested; empty if something can.
        note: remark for the reader; may be empty.
    """

    first: RowMeasurements
    second: RowMeasurements
    first_seeds: list[int]
    second_seeds: list[int]
    are_paired: bool
    contributions: tuple[Array, Array] | None
    example_ids: np.ndarray
    obstacle: str
    note: str

    @property
    def num_seeds(self) -> int:
        """Return the smaller number of seeds."""
        return min(len(self.first_seeds), len(self.second_seeds))

    @property
    def num_examples(self) -> int:
        """Return the number of common examples; 0 without predictions."""
        return 0 if self.contributions is None else self.contributions[0].shape[1]

    @cached_property
    def seeds_matter(self) -> bool:
        """Whether the seeds change anything in one of the rows, such as not in two that never train."""
        if self.num_seeds < 2:
            return False
        return self.contributions is None or any(TwoWayLayout(values).varies for values in self.contributions)

    @property
    def scope(self) -> InferenceScope:
        """Return what a test is about: the methods, unless one of them has a single seed."""
        return "methods" if self.num_seeds > 1 else "trained models"

    @cached_property
    def metrics(self) -> tuple[Array, Array]:
        """Return the metric of each seed, (seeds,) of each row; over the common examples if they are known."""
        if self.contributions is not None:
            return self.contributions[0].mean(1), self.contributions[1].mean(1)
        return (
            np.array([self.first.values[seed] for seed in self.first_seeds]),
            np.array([self.second.values[seed] for seed in self.second_seeds]),
        )

    def estimate(self, pool: PooledVariances) -> tuple[DifferenceEstimate, VarianceComponents | None] | None:
        """Return the first row minus the second, with variance components if examples count; None with an obstacle."""
        if self.obstacle:
            return None
        first, second = self.metrics
        labels = (self.first.row, self.second.row)
        row_priors = (pool.prior_of_row(labels[0], len(first)), pool.prior_of_row(labels[1], len(second)))
        pair_prior = pool.prior_of_pair(*labels, len(first))
        if self.contributions is None:
            if self.are_paired:
                return seeds_only_difference(first - second, priors=(pair_prior, pair_prior)), None
            return seeds_only_difference(first, second, row_priors), None
        if not self.seeds_matter:
            return examples_only_difference(self.contributions[0][0] - self.contributions[1][0])
        if self.are_paired:
            return paired_difference(self.contributions[0] - self.contributions[1], pair_prior)
        return unpaired_difference(*self.contributions, row_priors)


def pair_rows(first: RowMeasurements, second: RowMeasurements) -> Pair:
    """Choose the seeds and read the examples in which two rows are compared; both rows have a value.

    Seeds are paired if the common ones are at least three quarters of the larger number; otherwise all seeds of both
    are compared unpaired. With a single seed in one of them, two trained models are compared.
    """
    common = sorted(first.values.keys() & second.values.keys())
    fewest, largest = sorted((len(first.values), len(second.values)))
    are_paired = fewest > 1 and len(common) > 1 and len(common) >= _MIN_COMMON_SEEDS * largest
    if are_paired:
        first_seeds = second_seeds = common
    elif fewest > 1:
        first_seeds, second_seeds = sorted(first.values), sorted(second.values)
    else:
        first_seeds = [common[0]] if common else [min(first.values)]
        second_seeds = [common[0]] if common else [min(second.values)]
    wanted = [(row, seed) for row, seeds in ((first, first_seeds), (second, second_seeds)) for seed in seeds]
    contributions, ids, note, obstacle = None, np.array([], dtype=str), "", ""
    if all(seed in row.predictions for row, seed in wanted):
        runs = [row.predictions[seed] for row, seed in wanted]
        try:
            values, ids = shared_contributions(runs)
            contributions = (values[: len(first_seeds)], values[len(first_seeds) :])
            total = max(len(run.ids) for run in runs)
            if total > len(ids):
                note = f"{total - len(ids)} of {total} test examples are not in all runs and were left out"
        except UnusablePredictions as error:  # other test examples
            obstacle = str(error)
        except ValueError as error:
            note = reason(error)
    if contributions is None and not obstacle:
        obstacle = (fewest < 2 and note) or _obstacle_without_predictions(first, second, fewest)
    return Pair(first, second, first_seeds, second_seeds, are_paired, contributions, ids, obstacle, note)


def _obstacle_without_predictions(first: RowMeasurements, second: RowMeasurements, fewest_seeds: int) -> str:
    """Return why nothing can be tested by the seeds' metrics alone; empty if something can."""
    if fewest_seeds < 2:
        return "without the examples' predictions one seed each gives no test"
    if len(first.data_hashes | second.data_hashes) > 1:
        return "their data differ, and without predictions it is not known which test examples they share"
    if all(np.ptp(list(row.values.values())) < ROUNDING_ERROR for row in (first, second)):
        return "the seeds do not scatter, and without predictions there is nothing to test against"
    return ""
