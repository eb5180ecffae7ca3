"""Power analysis: the seeds or test examples that a comparison needs, from the variances of the existing runs.

Every number of it comes from an estimated variance. The variance over few seeds is a rough one, so the numbers have a
range: what they are if the true variance is at either end of an 80 % interval around its estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from ftlab.comparison.hypothesis_tests import FamilyWithVariances
from ftlab.comparison.stats.inference import Contrast
from ftlab.comparison.stats.metric_range import metric_range
from ftlab.comparison.stats.sample_size import MAX_EXAMPLES, MAX_SEEDS, smallest_number
from ftlab.comparison.stats.variance import POWER, ROUNDING_ERROR, DifferenceEstimate, VarianceComponents

_RANGE = (0.1, 0.9)  # quantiles of the estimated seed variance


@dataclass(frozen=True)
class SampleSize:
    """Number of seeds or examples with enough power; None: not even the largest number that is tried has enough.

    Attributes:
        expected: if the seed variance is as estimated.
        low: if it is at the lower end of its range.
        high: if it is at the upper end.
    """

    expected: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class PowerAnalysis:
    """Seeds and examples needed to detect a given difference between a row and the reference with 80 % power.

    Attributes:
        contrast: the measured difference.
        power: probability of detecting it with the existing seeds and examples, if the seed variance is at the upper
            end of its range; None if it cannot be computed.
        seeds: seeds of each method needed with the existing examples; None if this cannot be estimated.
        examples: examples needed with the existing seeds; None if this cannot be estimated.
        problem: why nothing can be estimated; else empty.
    """

    contrast: Contrast
    power: float | None
    seeds: SampleSize | None
    examples: SampleSize | None
    problem: str = ""


def problem_of_effect(effect: float, metric: str) -> str:
    """Return why two values of the metric cannot differ by this much, in a sentence; empty if they can."""
    low, high = metric_range(metric) or (-inf, inf)
    if effect < high - low:
        return ""
    return (
        f"--effect {effect:g} is no possible difference in test {metric}, whose range is {low:g} to {high:g}: give one "
        f"in the metric's own unit, such as {(high - low) / 100:g}."
    )


def power_analyses(tested: FamilyWithVariances, effect: float, tests: int) -> list[PowerAnalysis]:
    """Return the power analysis of each row of a table but the reference.

    Args:
        tested: the tests of the table.
        effect: true difference to be detected, in the metric's unit, above 0.
        tests: number of tests of the table to plan for. Each gets an equal share of the family's alpha: then a
            difference is detected at least as often after Holm's correction, whatever the other rows are.
    """
    alpha = tested.family.alpha / tests
    return [
        power_analysis(contrast, tested.components.get(contrast.row), effect, alpha)
        for contrast in tested.family.contrasts
    ]


def power_analysis(
    contrast: Contrast, components: VarianceComponents | None, effect: float, alpha: float
) -> PowerAnalysis:
    """Return the power analysis of one row; `alpha` is that of its own test. See `power_analyses`."""
    if components is None:
        return PowerAnalysis(
            contrast,
            None,
            None,
            None,
            f"variances over examples are not known ({contrast.note or 'predictions are missing'})",
        )
    seeds_now, examples_now = components.num_seeds, components.num_examples
    now = _expected_difference(components, seeds_now, examples_now)
    if now.standard_error < ROUNDING_ERROR:
        return PowerAnalysis(
            contrast,
            None,
            None,
            None,
            "these runs differ from the reference alike on every example, so there is no variance to plan from",
        )
    low, high = (_with_seed_variance(components, factor) for factor in _range_factors(now.seed_df))

    def sample_size(power: Callable[[VarianceComponents, int], float], largest: int) -> SampleSize:
        def smallest(possible: VarianceComponents) -> int | None:
            return smallest_number(lambda number: power(possible, number) >= POWER, 2, largest)

        return SampleSize(*map(smallest, (components, low, high)))

    seeds = None
    if contrast.scope == "methods":  # the variance over seeds cannot be estimated from one seed
        seeds = sample_size(lambda c, n: _expected_difference(c, n, examples_now).power(effect, alpha), MAX_SEEDS)
    examples = sample_size(lambda c, n: _expected_difference(c, seeds_now, n).power(effect, alpha), MAX_EXAMPLES)
    power = _expected_difference(high, seeds_now, examples_now).power(effect, alpha)
    return PowerAnalysis(contrast, power, seeds, examples)


def _expected_difference(components: VarianceComponents, seeds: int, examples: int) -> DifferenceEstimate:
    """Return the difference with its variance at these numbers; with one seed each, seeds are fixed."""
    difference = components.expected_difference(seeds, examples)
    return difference if components.num_seeds > 1 else replace(difference, seed_variance=0.0, seed_df=inf)


def _range_factors(df: float) -> tuple[float, float]:
    """Return the ends of the range of a true variance as factors of its estimate with these degrees of freedom."""
    from scipy.stats import chi2

    if df == inf:
        return 1.0, 1.0
    high, low = (float(df / chi2.ppf(quantile, df)) for quantile in _RANGE)
    return low, high


def _with_seed_variance(components: VarianceComponents, factor: float) -> VarianceComponents:
    """Return the components for another variance of a seed's metric, which includes the interaction.

    The interaction itself is estimated from many residuals, so it stays and is the least that a seed's metric varies.
    """
    interaction = components.interaction / components.num_examples
    return replace(components, seed=max(0.0, (components.seed + interaction) * factor - interaction))
