"""Variances over seeds of all rows of a table, pooled, from which each row and each pair of rows borrows."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean, median

import numpy as np

from ftlab.comparison.stats.layout import NO_PRIOR, VariancePrior
from ftlab.comparison.stats.variance import ROUNDING_ERROR

# With these, tests of equal rows stay within 5 % where one row scatters more than the others, and within 8 % where rows
# scatter by turns 7 times more and less, with no interaction; with 3 and 1/3 it is 12 % (docs/statistics_measured.md).
_MAX_PRIOR_DF, _PRIOR_DF_PER_DF = 1.5, 0.5
_MIN_ROWS = 3  # of which one borrows: with one other row it is not known which of the two scatters unusually
_OUTLIER = 6.0  # times the median variance of the other rows


class PooledVariances:
    """Pooled variances over seeds of a table's rows.

    Rows that no seed changes are left out, and so are rows that scatter far more than the others, such as one that
    collapses now and then: those borrow nothing, and nobody borrows from them. Rows with the same seeds form a block.
    In a block of m rows and S seeds the mean variance of all differences has (m - 1)(S - 1) degrees of freedom. A pair
    or row borrows half of what the others contribute, but no more than it has itself and than a limit, so a table of
    two rows borrows nothing.
    """

    def __init__(self, rows: Mapping[str, Mapping[int, float]]) -> None:
        """Pool the rows, given as label -> seed -> metric."""
        variances = {
            label: float(np.var(values, ddof=1))
            for label, row in rows.items()
            if len(values := list(row.values())) > 1 and np.ptp(values) > ROUNDING_ERROR
        }
        self._pooled = {label for label in variances if not _is_outlier(label, variances)}
        blocks: dict[tuple[int, ...], list[list[float]]] = defaultdict(list)
        for label in self._pooled:
            seeds = tuple(sorted(rows[label]))
            blocks[seeds].append([rows[label][seed] for seed in seeds])
        self._row_variance = fmean(variances[label] for label in self._pooled) if self._pooled else 0.0
        self._row_df = sum(len(block) * (len(seeds) - 1) for seeds, block in blocks.items())
        pairs = [(len(block) * (len(block) - 1) / 2, _mean_pair_variance(np.array(block))) for block in blocks.values()]
        num_pairs = sum(number for number, _ in pairs)
        self._pair_variance = sum(number * variance for number, variance in pairs) / num_pairs if num_pairs else 0.0
        self._pair_df = sum((len(block) - 1) * (len(seeds) - 1) for seeds, block in blocks.items())

    def prior_of_pair(self, first: str, second: str, num_seeds: int) -> VariancePrior:
        """Return the variance of one seed's difference that two rows with this many common seeds borrow."""
        if not {first, second} <= self._pooled:
            return NO_PRIOR
        return _prior(self._pair_variance, num_seeds - 1, self._pair_df)

    def prior_of_row(self, label: str, num_seeds: int) -> VariancePrior:
        """Return the variance of one seed's metric that a row with this many seeds borrows."""
        if label not in self._pooled or len(self._pooled) < _MIN_ROWS:
            return NO_PRIOR
        return _prior(self._row_variance, num_seeds - 1, self._row_df)


def _is_outlier(label: str, variances: Mapping[str, float]) -> bool:
    """Whether a row scatters far more than the median of the other rows; with one other row that cannot be told."""
    others = [variance for other, variance in variances.items() if other != label]
    return len(others) > 1 and variances[label] > _OUTLIER * median(others)


def _prior(variance: float, own_df: int, pooled_df: int) -> VariancePrior:
    df = min(_MAX_PRIOR_DF, own_df, (pooled_df - own_df) * _PRIOR_DF_PER_DF)
    return VariancePrior(variance, df) if df > 0 else NO_PRIOR


def _mean_pair_variance(values: np.ndarray) -> float:
    """Return the mean, over all pairs of rows, of the variance of their difference over the seeds.

    Args:
        values: metric, (rows, seeds).
    """
    rows = len(values)
    if rows < 2:
        return 0.0
    centred = values - values.mean(0)  # what a seed does to all rows cancels in differences
    return float(2 * np.var(centred, axis=1, ddof=1).sum() / (rows - 1))
