"""How many seeds or test examples a comparison would need, from the variances of the runs that there are."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ftlab.compare.families import Tested
from ftlab.compare.inference import Contrast
from ftlab.compare.variance import POWER, Components, Spread

MOST_SEEDS = 1_000
MOST_EXAMPLES = 10_000_000


@dataclass(frozen=True)
class Plan:
    """What it takes to detect a difference of a given size between a row and the reference with 80 % power.

    Attributes:
        contrast: what was measured.
        power: chance to detect it with the seeds and examples that there are; None where it cannot be told.
        seeds: of each method, needed with the present examples; None: not even the most that is looked at.
        examples: needed with the present seeds; None: as for seeds.
        spread: the variance that there is; None where examples could not be used.
    """

    contrast: Contrast
    power: float | None
    seeds: int | None
    examples: int | None
    spread: Spread | None


def plans(tested: Tested, effect: float) -> list[Plan]:
    """Return a plan for each row of a table but the reference.

    Alpha is that of the family, for one test: Holm's correction asks for somewhat more.

    Args:
        tested: the tests of the table.
        effect: true difference to be detected, in the metric's unit, above 0.
    """
    return [
        plan(contrast, tested.components.get(contrast.row), effect, tested.family.alpha)
        for contrast in tested.family.contrasts
    ]


def plan(contrast: Contrast, components: Components | None, effect: float, alpha: float) -> Plan:
    """Return the plan for one row, see `plans`."""
    if components is None:
        return Plan(contrast, None, None, None, None)
    now = _at(components, components.seeds, components.examples)
    seeds = None
    if contrast.scope == "methods":  # one seed says nothing of how far seeds scatter
        seeds = _fewest(lambda n: _at(components, n, components.examples).power(effect, alpha), 2, MOST_SEEDS)
    examples = _fewest(lambda n: _at(components, components.seeds, n).power(effect, alpha), 2, MOST_EXAMPLES)
    return Plan(contrast, now.power(effect, alpha), seeds, examples, now)


def _at(components: Components, seeds: int, examples: int) -> Spread:
    """Return the spread of a plan; one seed each is a statement about trained models, where no seed is drawn."""
    spread = components.spread(seeds, examples)
    return spread if components.seeds > 1 else replace(spread, seeds=0.0)


def _fewest(power: Callable[[int], float], low: int, high: int) -> int | None:
    """Return the smallest number from `low` to `high` with enough power, which grows with it; None: not even `high`."""
    if power(high) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle + 1, high)
    return low
