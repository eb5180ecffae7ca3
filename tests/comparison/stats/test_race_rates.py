"""Rates of false decisions of races in simulated worlds."""

import numpy as np
import pytest

from benchmarks.race_worlds import WORLDS, formulas_differ, normal_runs
from ftlab.comparison.stats.race import decide
from ftlab.comparison.stats.race_pairs import pair_interval
from ftlab.comparison.stats.race_rules import Goal, RaceRules
from ftlab.comparison.stats.race_state import RaceState


def test_statistics_are_those_of_other_formulas() -> None:
    assert formulas_differ(100) < 1e-9


def falsely(world: str, goal: Goal, draws: int, *, peeking: bool = False, examples: int = 20_000) -> float:
    """How often equal methods are told apart: by a race, or by whoever stops at the first p < .05."""
    rng, false = np.random.default_rng(0), 0
    rules = RaceRules(methods=WORLDS[world].names, goal=goal)
    for _ in range(draws):
        drawn = normal_runs(rng, WORLDS[world], examples)
        if peeking:
            (looked,) = zip(*(drawn.statistics(seeds).values() for seeds in rules.looks), strict=True)
            false += any(abs(at.difference) > pair_interval(at, [], 0.0, 0.025).half_width for at in looked)
            continue
        state = RaceState(rules=rules)
        while state.end is None:
            state = decide(state, drawn.statistics(state.next_seeds))
        false += any(method.by for method in state.methods) or any(pair.status == "ordered" for pair in state.pairs)
    return false / draws


@pytest.mark.parametrize(("world", "goal"), [("A2", "strict"), ("B3", "ranking")])
def test_few_races_decide_falsely(world: str, goal: Goal) -> None:
    assert falsely(world, goal, 400) <= 0.07  # with 3 borrowed degrees of freedom it is 17 % and 14 %


def test_stopping_at_the_first_small_p_does_not_pass() -> None:
    assert falsely("A2", "best", 400, peeking=True) >= 0.12
