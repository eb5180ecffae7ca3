"""Power analysis: the seeds or test examples that a comparison needs, from the variances of the existing runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ftlab.comparison.hypothesis_tests import FamilyWithVariances
from ftlab.comparison.stats.inference import Contrast
from ftlab.comparison.stats.variance import POWER, DifferenceEstimate, VarianceComponents

MAX_SEEDS = 1_000
MAX_EXAMPLES = 10_000_000


@dataclass(frozen=True)
class PowerAnalysis:
    """Seeds and examples needed to detect a given difference between a row and the reference with 80 % power.

    Attributes:
        contrast: the measured difference.
        power: probability of detecting it with the existing seeds and examples; None if it cannot be computed.
        seeds: seeds of each method needed with the existing examples; None: not even `MAX_SEEDS` are enough.
        examples: examples needed with the existing seeds; None: not even `MAX_EXAMPLES` are enough.
        difference: the difference with its variance at present; None if the examples could not be used.
    """

    contrast: Contrast
    power: float | None
    seeds: int | None
    examples: int | None
    difference: DifferenceEstimate | None


def power_analyses(tested: FamilyWithVariances, effect: float) -> list[PowerAnalysis]:
    """Return the power analysis of each row of a table but the reference.

    Each test uses the family's alpha; with Holm's correction somewhat more data is needed.

    Args:
        tested: the tests of the table.
        effect: true difference to be detected, in the metric's unit, above 0.
    """
    return [
        power_analysis(contrast, tested.components.get(contrast.row), effect, tested.family.alpha)
        for contrast in tested.family.contrasts
    ]


def power_analysis(
    contrast: Contrast, components: VarianceComponents | None, effect: float, alpha: float
) -> PowerAnalysis:
    """Return the power analysis of one row, see `power_analyses`."""
    if components is None:
        return PowerAnalysis(contrast, None, None, None, None)
    seeds_now, examples_now = components.num_seeds, components.num_examples

    def power_with(seeds: int, examples: int) -> float:
        return _expected_difference(components, seeds, examples).power(effect, alpha)

    seeds = None
    if contrast.scope == "methods":  # the variance over seeds cannot be estimated from one seed
        seeds = _smallest(lambda n: power_with(n, examples_now), 2, MAX_SEEDS)
    examples = _smallest(lambda n: power_with(seeds_now, n), 2, MAX_EXAMPLES)
    difference = _expected_difference(components, seeds_now, examples_now)
    return PowerAnalysis(contrast, difference.power(effect, alpha), seeds, examples, difference)


def _expected_difference(components: VarianceComponents, seeds: int, examples: int) -> DifferenceEstimate:
    """Return the difference with its variance at these numbers; with one seed each, seeds are fixed."""
    difference = components.expected_difference(seeds, examples)
    return difference if components.num_seeds > 1 else replace(difference, seed_variance=0.0)


def _smallest(power: Callable[[int], float], low: int, high: int) -> int | None:
    """Return the smallest number in [low, high] with enough power, by bisection; None if `high` has too little."""
    if power(high) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle + 1, high)
    return low
