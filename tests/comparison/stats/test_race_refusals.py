"""Races that cannot be: each refused in one sentence with the remedy."""

from math import inf, nan

import numpy as np
import pytest

from ftlab.comparison.stats.race import advance
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.comparison.stats.race_state import RaceState
from ftlab.comparison.stats.variance import Array
from ftlab.core.errors import ConfigError, DataError
from tests.comparison.stats.test_race import raced, runs


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"methods": ("a",)}, "a race needs at least two methods, not 1"),
        ({"methods": ("a", "b", "a")}, "a race has the method a twice"),
        ({"margin": 0.0}, "race.margin=0.0 is not a positive number"),
        ({"margin": -0.01}, "race.margin=-0.01 is not a positive number"),
        ({"margin": nan}, "race.margin=nan is not a positive number"),
        ({"margin": inf}, "race.margin=inf is not a positive number"),
        ({"alpha": 0.0}, "race.alpha=0.0 is not between"),
        ({"max_seeds": 1}, "race.max_seeds=1 is not between 2 and 10"),
        ({"max_seeds": 11}, "race.max_seeds=11 is not between 2 and 10"),
    ],
)
def test_rules_that_make_no_race_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RaceRules.model_validate({"methods": ("a", "b"), **change})


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        (np.ones((2, 5)), np.ones((2, 6)), "a has 5 examples and b has 6"),
        (np.ones((2, 5)), np.ones((1, 5)), "this look is at 2 seeds, and b has 1"),
        (np.ones((2, 5)), np.ones((3, 5)), "this look is at 2 seeds, and b has 3"),
        (np.ones((2, 5)), np.ones(5), r"the values of b are not \(seeds, at least 2 examples\)"),
        (np.ones((2, 5)), np.ones((2, 1)), r"the values of b are not \(seeds, at least 2 examples\)"),
        (np.ones((2, 2)), np.array([[1, nan], [1, 1]]), "a run of b has values that are no numbers"),
        (np.ones((2, 2)), np.array([[inf, inf], [1, 1]]), "a run of b has values that are no numbers"),
        (np.ones((2, 5)), None, "the look at 2 seeds has no values of b"),
    ],
)
def test_values_that_do_not_fit_are_refused(a: Array, b: Array | None, sentence: str) -> None:
    state = RaceState(rules=RaceRules(methods=("a", "b")))
    with pytest.raises(DataError, match=sentence):
        advance(state, {"a": a} if b is None else {"a": a, "b": b})
    with pytest.raises(DataError, match="c is not a method of this race: its methods are a, b"):
        advance(state, {"a": a, "c": a})


def test_rows_and_seeds_stay_the_same_from_look_to_look() -> None:
    values = runs({"a": 0.9, "b": 0.89}, sd=0.002)
    rules = RaceRules(methods=("a", "b"), margin=0.001)
    state = advance(RaceState(rules=rules), {name: array[:2] for name, array in values.items()})
    with pytest.raises(DataError, match="this look is at 3 seeds, and a has 2"):
        advance(state, {name: array[:2] for name, array in values.items()})
    with pytest.raises(DataError, match="has 140 examples"):
        advance(state, {name: array[:3, :140] for name, array in values.items()})


def test_a_race_that_is_over_has_no_further_look() -> None:
    values = runs({"a": 0.9, "b": 0.1}, sd=0.001)
    state = raced(RaceRules(methods=("a", "b")), values)
    with pytest.raises(ConfigError, match=r"the race is over after \d seeds"):
        advance(state, values)
