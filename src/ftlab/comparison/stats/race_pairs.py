"""Pairs of methods in a race: difference, its variances, and the variance that a pair borrows from the others."""

from collections.abc import Iterable
from math import erfc, sqrt

import numpy as np

from ftlab.comparison.stats.layout import TwoWayLayout
from ftlab.comparison.stats.variance import Array, DifferenceEstimate
from ftlab.record.parts import Frozen

MAX_SEEDS, MAX_ROWS = 100, 1000  # that are suggested; rows as a multiple of the present ones


class PairStatistics(Frozen):
    """Difference of two methods on the rows of a race, and estimates of the parts of its variance.

    Attributes:
        difference: first method minus second, mean over paired seeds and examples, in the metric's unit.
        seed_variance: variance over seeds of the difference of two runs.
        interaction: part of `seed_variance` that the interaction of seeds and examples alone causes.
        example_variance: variance of `difference` from the sampling of examples, at least 0.
        seeds: paired seeds, at least 2.
        examples: rows of the race.
    """

    difference: float
    seed_variance: float
    interaction: float
    example_variance: float
    seeds: int
    examples: int


class PairInterval(Frozen):
    """Interval of a pair's difference at one look, `difference` ± `half_width`.

    Attributes:
        half_width: in the metric's unit.
        alpha: one-sided level of each end.
        variance: seed variance with what was borrowed, of the difference of two runs.
        prior_df: degrees of freedom that were borrowed.
    """

    half_width: float
    alpha: float
    variance: float
    prior_df: float


def pair_statistics(first: Array, second: Array) -> PairStatistics | None:
    """Return the statistics of two methods; None with fewer than 2 seeds that both have.

    Args:
        first: contributions of one method, (seeds, examples); a row of NaN is a failed run.
        second: those of the other method, with the same seeds and examples.
    """
    differences = first - second
    layout = TwoWayLayout(differences[np.isfinite(differences).all(1)])
    seeds, examples = layout.shape
    if seeds < 2:
        return None
    return PairStatistics(
        difference=float(layout.by_seed.mean()),
        seed_variance=float(np.var(layout.by_seed, ddof=1)),
        interaction=layout.interaction / examples,
        example_variance=layout.example_variance,
        seeds=seeds,
        examples=examples,
    )


def pair_interval(pair: PairStatistics, prior: Iterable[PairStatistics], prior_df: float, alpha: float) -> PairInterval:
    """Return the interval of a pair, whose seed variance is shrunk towards the mean over the pairs of the race.

    Both variances are at least what the interaction causes: with few seeds their metrics may be equal by chance.

    Args:
        pair: the pair.
        prior: pairs whose mean seed variance the pair borrows, itself among them.
        prior_df: weight of that mean, in degrees of freedom.
        alpha: one-sided level of each end.
    """
    variances = [other.seed_variance for other in prior]
    mean_variance = max(sum(variances) / len(variances), pair.interaction) if variances else 0.0
    df = prior_df + pair.seeds - 1
    own_variance = max(pair.seed_variance, pair.interaction)
    variance = (prior_df * mean_variance + (pair.seeds - 1) * own_variance) / df
    estimate = DifferenceEstimate(pair.difference, variance / pair.seeds, df, pair.example_variance, pair.examples - 1)
    return PairInterval(half_width=estimate.half_width(2 * alpha), alpha=alpha, variance=variance, prior_df=prior_df)


def half_width(
    pair: PairStatistics,
    interval: PairInterval,
    seeds: int,
    alpha: float,
    *,
    prior_df: float | None = None,
    rows: float = 1,
) -> float:
    """Return half the width of a pair's interval with another number of seeds, level or rows, if its variances hold.

    Args:
        pair: the pair.
        interval: its interval at present.
        seeds: number of paired seeds.
        alpha: one-sided level of each end.
        prior_df: borrowed degrees of freedom; None: those of the interval.
        rows: number of examples, as a multiple of the present one.
    """
    by_seeds = max(0.0, interval.variance - pair.interaction) + min(interval.variance, pair.interaction) / rows
    df = (interval.prior_df if prior_df is None else prior_df) + seeds - 1
    estimate = DifferenceEstimate(
        pair.difference, by_seeds / seeds, df, pair.example_variance / rows, pair.examples * rows - 1
    )
    return estimate.half_width(2 * alpha)


def slack(pair: PairStatistics, margin: float, width: float) -> float:
    """Return by how much an interval of this half width decides a pair: that it is ordered, or alike; else negative."""
    distance = abs(pair.difference)
    return max(distance - width, margin - width - distance)


def decision_chance(pair: PairStatistics, interval: PairInterval, margin: float, width: float, seeds: int) -> float:
    """Return the probability that a pair is decided at the last look if its difference and variances are the true ones.

    Args:
        pair: the pair.
        interval: its interval at present.
        margin: of the race.
        width: half the width of its interval at the last look.
        seeds: at the last look.
    """
    room = slack(pair, margin, width)
    scatter = sqrt(interval.variance * max(0.0, 1 / pair.seeds - 1 / seeds))
    return 0.5 * erfc(-room / scatter / sqrt(2)) if scatter else float(room > 0)


def seeds_needed(pair: PairStatistics, interval: PairInterval, margin: float, alpha: float) -> int | None:
    """Return the seeds that decide a pair with these rows, if the estimates are the true values; None: no number."""
    numbers = range(pair.seeds, MAX_SEEDS + 1)
    return next((n for n in numbers if slack(pair, margin, half_width(pair, interval, n, alpha)) > 0), None)


def rows_needed(pair: PairStatistics, interval: PairInterval, margin: float, alpha: float, seeds: int) -> int | None:
    """Return about how many rows decide a pair with this many seeds; None: no number."""
    for factor in np.geomspace(1, MAX_ROWS, 61):
        if slack(pair, margin, half_width(pair, interval, seeds, alpha, rows=float(factor))) > 0:
            return round(pair.examples * float(factor))
    return None
