"""The plan of a race: its cost and its chance of an answer, before it starts."""

import numpy as np
import pytest

from ftlab.comparison.stats.race_plan import RaceAssumptions, pilot_assumptions, plan_race
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.core.errors import ConfigError
from tests.comparison.stats.test_race import raced, runs

NAMES = ("a", "b", "c")


def assumed(*means: float, sd: float = 0.007, examples: int = 2000) -> RaceAssumptions:
    return RaceAssumptions(
        dict(zip(NAMES, means, strict=True)), dict.fromkeys(NAMES, sd), examples, taste_sd=0.08, waver_sd=0.13
    )


def test_a_clear_race_is_cheap_and_answered() -> None:
    plan = plan_race(RaceRules(methods=NAMES), assumed(0.95, 0.85, 0.75), draws=40)
    assert plan.answered == 1
    assert plan.few <= plan.runs <= plan.many <= plan.grid == 30
    assert plan.runs < 20
    assert sum(plan.seeds.values()) == pytest.approx(plan.runs)
    assert plan.seeds["c"] <= plan.seeds["a"]
    assert plan.stays == {"a": 1, "b": 0, "c": 0}


def test_more_seeds_are_planned_where_methods_are_closer() -> None:
    rules = RaceRules(methods=NAMES, goal="strict")
    clear, close = (plan_race(rules, assumed(*means), draws=40) for means in ((0.95, 0.8, 0.7), (0.95, 0.93, 0.91)))
    assert close.runs > clear.runs + 3


def test_a_ranking_plans_pairs() -> None:
    plan = plan_race(RaceRules(methods=NAMES, goal="ranking"), assumed(0.95, 0.85, 0.75), draws=20)
    assert plan.decided == 1
    assert not plan.stays


def test_a_plan_costs_what_races_cost() -> None:
    rules = RaceRules(methods=NAMES, goal="strict")
    plan = plan_race(
        rules, RaceAssumptions({"a": 0.9, "b": 0.87, "c": 0.84}, dict.fromkeys(NAMES, 0.01), 150, 0.0, 0.05)
    )
    ends = [raced(rules, runs({"a": 0.9, "b": 0.87, "c": 0.84}, 0.01, seed=seed)) for seed in range(60)]
    assert plan.runs == pytest.approx(np.mean([end.runs for end in ends]), rel=0.15)


def test_a_pilot_tells_scatter_and_shrinks_differences() -> None:
    values = {name: array[:4] for name, array in runs(dict.fromkeys("abcdef", 0.9), sd=0.02, examples=400).items()}
    found = pilot_assumptions(values)
    assert set(found.means) == set("abcdef")
    assert found.waver_sd == pytest.approx(0.05, rel=0.1)
    assert next(iter(found.run_sds.values())) == pytest.approx(0.02, rel=0.4)
    assert np.ptp(list(found.means.values())) < 0.5 * np.ptp([array.mean() for array in values.values()])
    of_two = pilot_assumptions({name: values[name] for name in "ab"})
    assert of_two.waver_sd == pytest.approx(0.05, rel=0.1)
    apart = {name: array + 0.1 * number for number, (name, array) in enumerate(values.items())}
    assert np.ptp(list(pilot_assumptions(apart).means.values())) == pytest.approx(0.5, rel=0.1)


def test_pilots_and_assumptions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="a pilot with one seed says nothing"):
        pilot_assumptions({"a": np.ones((1, 9)), "b": np.ones((1, 9))})
    with pytest.raises(ConfigError, match="the same seeds and rows for at least two methods"):
        pilot_assumptions({"a": np.ones((2, 9)), "b": np.ones((3, 9))})
    with pytest.raises(ConfigError, match="needs a mean and a standard deviation of each of its methods"):
        plan_race(RaceRules(methods=("a", "z")), assumed(0.9, 0.8, 0.7))
