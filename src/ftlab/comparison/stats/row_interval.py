"""Confidence interval of a row's metric over seeds and test examples, within the metric's range."""

from math import isinf

import numpy as np

from ftlab.comparison.stats.inference import Interval
from ftlab.comparison.stats.layout import TwoWayLayout, VariancePrior, seeds_only_difference
from ftlab.comparison.stats.one_seed import example_interval
from ftlab.comparison.stats.variance import Array, DifferenceEstimate


def seeds_and_examples_interval(
    contributions: Array, prior: VariancePrior, level: float, bounds: tuple[float, float] | None
) -> Interval:
    """Return the interval of the expected metric, where seeds and examples are both random.

    Args:
        contributions: of each example in the run of each seed, (seeds, examples), at least 2 of each.
        prior: variance over seeds of other rows.
        level: confidence.
        bounds: lowest and highest value of the metric; None: not known.
    """
    layout = TwoWayLayout(contributions)
    seeds, examples = layout.shape
    if not layout.varies:
        return example_interval(contributions[0], level)
    source = f"t over {seeds} seeds and {examples} examples"
    return _interval(layout.estimate(prior), level, bounds, source)


def seeds_only_interval(
    metrics: Array, prior: VariancePrior, level: float, bounds: tuple[float, float] | None
) -> Interval:
    """Return the interval of the expected metric on these very examples, where only seeds are random.

    Args:
        metrics: of each seed, (seeds,), at least 2.
        prior: see `seeds_and_examples_interval`, like the arguments below.
        level: see there.
        bounds: see there.
    """
    estimate = seeds_only_difference(metrics, priors=(prior, prior))
    return _interval(estimate, level, bounds, f"t over {len(metrics)} seeds on these test examples")


def _interval(estimate: DifferenceEstimate, level: float, bounds: tuple[float, float] | None, source: str) -> Interval:
    """Return the interval; if the metric has two bounds it is symmetric on the logit scale, which never leaves them."""
    mean, half = estimate.difference, estimate.half_width(1 - level)
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    if isinf(low) or isinf(high) or not low < mean < high:
        return Interval(max(mean - half, low), min(mean + half, high), level, source)
    width = high - low
    position = (mean - low) / width
    centre, shift = np.log(position / (1 - position)), half / width / (position * (1 - position))
    ends = [low + width / (1 + np.exp(-(centre + sign * shift))) for sign in (-1, 1)]
    return Interval(float(ends[0]), float(ends[1]), level, source)
