"""The race's decisions: what is dropped, good enough, ordered, alike or given up; and how often falsely."""

import re
from collections.abc import Mapping
from itertools import pairwise
from math import nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ftlab.comparison.stats.race import advance, decide
from ftlab.comparison.stats.race_pairs import PairStatistics, pair_interval, pair_statistics
from ftlab.comparison.stats.race_rules import Goal, RaceRules
from ftlab.comparison.stats.race_sentences import sentences
from ftlab.comparison.stats.race_state import RaceState
from ftlab.comparison.stats.variance import Array

GOALS: tuple[Goal, ...] = ("best", "strict", "ranking")
Values = Mapping[str, Array]


def runs(means: Mapping[str, float], sd: float = 0.005, *, examples: int = 150, seed: int = 0) -> dict[str, Array]:
    """Ten runs of each method, (seeds, examples): hard examples are the same for all, and runs waver a little."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(0, 0.3, examples)
    return {
        name: mean + hard + rng.normal(0, sd, (10, 1)) + rng.normal(0, 0.05, (10, examples))
        for name, mean in means.items()
    }


def raced(rules: RaceRules, values: Values, state: RaceState | None = None) -> RaceState:
    state = state or RaceState(rules=rules)
    while state.end is None:
        state = advance(state, {name: values[name][: state.next_seeds] for name in state.active})
    return state


def pair(difference: float, sd: float = 0.001, *, seeds: int = 2) -> PairStatistics:
    return PairStatistics(
        difference=difference, seed_variance=sd**2, interaction=0, example_variance=0, seeds=seeds, examples=1000
    )


def test_the_interval_is_that_of_the_procedure() -> None:
    first = PairStatistics(
        difference=0.0, seed_variance=4e-5, interaction=1e-5, example_variance=3e-6, seeds=3, examples=200
    )
    second = first.model_copy(update={"seed_variance": 2e-5})
    interval = pair_interval(first, [first, second], 2.0, 0.001)
    variance = (2 * 3e-5 + 2 * 4e-5) / 4
    seeds, examples = variance / 3, 3e-6
    width = seeds * stats.t.isf(0.001, 4) + examples * stats.t.isf(0.001, 199)
    assert interval.half_width == pytest.approx(width / sqrt(seeds + examples))
    level = pair_interval(
        first.model_copy(update={"seed_variance": 0.0}), [second.model_copy(update={"seed_variance": 0.0})], 2.0, 0.001
    )
    assert level.variance == pytest.approx(1e-5)  # no less than what the interaction causes


def test_what_is_behind_stops_and_the_best_stays() -> None:
    state = raced(RaceRules(methods=("full", "lora", "head")), runs({"full": 0.95, "lora": 0.90, "head": 0.50}))
    assert state.end == "one left"
    assert state.is_answered
    assert state.active == ("full",)
    assert state.runs < state.grid == 30
    by_name = {method.name: method for method in state.methods}
    assert by_name["head"].by == "full"
    assert by_name["full"].good_enough is None  # the best needs no such word
    lines = [line for number in range(len(state.looks)) for line in sentences(state, number)]
    assert any(line.startswith("head is not the best: it is 0.4") for line in lines)
    assert lines[-1].endswith("of 30: full is the best.")


@pytest.mark.parametrize("goal", ["best", "strict"])
def test_methods_within_the_margin_are_good_enough(goal: Goal) -> None:
    rules = RaceRules(methods=("a", "b", "c"), goal=goal, margin=0.05)
    state = raced(rules, runs({"a": 0.90, "b": 0.901, "c": 0.902}))
    assert state.end == "good enough"
    assert "are all within 0.05 of the best" in sentences(state)[-1]


def test_good_enough_is_said_of_the_one_ahead_first_and_stays_said() -> None:
    state = decide(RaceState(rules=RaceRules(methods=("a", "b"), margin=0.2)), {("a", "b"): pair(0.1, 0.01)})
    assert [method.good_enough for method in state.methods] == [2, None]  # 0.1 ± 0.22
    assert sentences(state) == ["a is within 0.2 of the best, after 2 seeds."]
    state = decide(state, {("a", "b"): pair(-0.15, 0.1, seeds=3)})
    assert [method.good_enough for method in state.methods] == [2, None]
    assert "within" not in " ".join(sentences(state))


def test_a_ranking_orders_pairs_and_finds_them_alike() -> None:
    state = raced(RaceRules(methods=("a", "b", "c"), goal="ranking", margin=0.02), runs({"a": 0.9, "b": 0.8, "c": 0.9}))
    assert state.end == "all pairs decided"
    assert {pair.names: (pair.status, pair.better) for pair in state.pairs} == {
        ("a", "b"): ("ordered", "a"),
        ("a", "c"): ("alike", None),
        ("b", "c"): ("ordered", "c"),
    }
    assert sentences(state)[-1].endswith("3 of 3 pairs are decided.")


@pytest.mark.parametrize("goal", GOALS)
def test_where_seeds_would_hardly_tell_it_ends_and_names_what_would(goal: Goal) -> None:
    start = RaceState(rules=RaceRules(methods=("a", "b", "c"), goal=goal))
    state = decide(start, {of.names: pair(0.001, 0.02) for of in start.pairs})
    assert state.end == "futile"
    assert not state.is_answered
    told = " ".join(sentences(state))
    assert "10 seeds would hardly" in told
    assert re.search(r"; about \d\d seeds with these rows would, if the differences stay as they are\.", told)
    noisy = decide(start, {of.names: pair(0.001, 0.5) for of in start.pairs})
    assert "neither 100 seeds nor 1,000 times these rows would alone." in " ".join(sentences(noisy))


def test_where_nothing_decides_all_the_nearest_pair_is_named() -> None:
    start = RaceState(rules=RaceRules(methods=("a", "b", "c")))
    statistics = {of.names: pair(0.001, 0.02) for of in start.pairs} | {("a", "b"): pair(0.005, 0.05)}
    assert "alone, and the nearest pair, a and c, needs about" in sentences(decide(start, statistics))[-1]


def test_at_the_last_look_what_is_open_stays_untold() -> None:
    state = RaceState(rules=RaceRules(methods=("a", "b"), max_seeds=2))
    state = decide(state, {("a", "b"): pair(0.005, 0.05)})
    assert state.end == "seeds used up"
    assert "a and b are not told apart; " in sentences(state)[-1]


@pytest.mark.parametrize(
    ("goal", "comparisons"), [("best", [3, 3]), ("strict", [6, 3]), ("ranking", [6, 3])], ids=lambda value: str(value)
)
def test_alpha_is_shared_as_the_goal_asks(goal: Goal, comparisons: list[int]) -> None:
    state = RaceState(rules=RaceRules(methods=("a", "b", "c", "d"), goal=goal, margin=0.001))
    d_behind = {name: pair(0.5 if "d" in name else 0.003) for name in (pair.names for pair in state.pairs)}
    for number, count in enumerate(comparisons):
        state = decide(
            state, {name: values.model_copy(update={"seeds": state.next_seeds}) for name, values in d_behind.items()}
        )
        (interval,) = [pair.interval for pair in state.pairs if pair.names == ("a", "b")]
        assert interval is not None
        assert interval.alpha == pytest.approx(0.05 * (0.2, 0.1)[number] / count)


def test_a_pair_given_up_keeps_its_alpha() -> None:
    state = RaceState(rules=RaceRules(methods=("a", "b", "c"), goal="ranking"))
    statistics = {("a", "b"): pair(0.005, 0.01), ("a", "c"): pair(0.016, 0.004), ("b", "c"): pair(0.016, 0.004)}
    state = decide(state, statistics)
    assert {pair.status for pair in state.pairs} == {"open", "futile"}
    state = decide(state, {name: values.model_copy(update={"seeds": 3}) for name, values in statistics.items()})
    levels = {
        pair.interval.alpha for pair in state.pairs if pair.interval and pair.statistics and pair.statistics.seeds == 3
    }
    assert list(levels) == [pytest.approx(0.05 * 0.1 / 3)]


@pytest.mark.parametrize(("methods", "borrowed"), [(2, [0, 0, 0]), (3, [0.5, 1, 1.5]), (4, [1, 2, 3]), (12, [1, 2, 3])])
def test_a_pair_borrows_no_more_than_it_has_and_half_of_what_the_others_have(
    methods: int, borrowed: list[float]
) -> None:
    names = tuple(f"m{number:02}" for number in range(methods))
    state = RaceState(rules=RaceRules(methods=names, goal="ranking", margin=1e-6))
    for df in borrowed:
        state = decide(state, {pair_.names: pair(0.0085, 0.004, seeds=state.next_seeds) for pair_ in state.pairs})
        assert {pair_.interval.prior_df for pair_ in state.pairs if pair_.interval} == {df}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), goal=st.sampled_from(GOALS), gap=st.sampled_from((0.0, 0.01, 0.03)))
def test_a_race_keeps_its_promises(seed: int, goal: Goal, gap: float) -> None:
    names = ("a", "b", "c", "d")
    values = runs({name: 0.9 - gap * number for number, name in enumerate(names)}, examples=40, seed=seed)
    state = raced(RaceRules(methods=names, goal=goal), values)
    assert state.alpha_spent <= 0.05 + 1e-12
    ends = [{method.name for method in look.methods if method.status != "active"} for look in state.looks]
    assert all(before <= after for before, after in pairwise(ends))  # no method returns
    # killed after any look, and gone on from what is on disk
    for number in range(len(state.looks)):
        part = RaceState(rules=state.rules, looks=state.looks[:number])
        assert raced(state.rules, values, RaceState.model_validate_json(part.model_dump_json())) == state
    # in another order of the methods
    turned = raced(RaceRules(methods=names[::-1], goal=goal), values)
    assert turned.end == state.end
    assert {method.name: method for method in turned.methods} == {method.name: method for method in state.methods}
    outcomes = [{frozenset(pair.names): (pair.status, pair.better) for pair in of.pairs} for of in (state, turned)]
    assert outcomes[0] == outcomes[1]


def test_a_method_with_a_failed_run_stops() -> None:
    values = runs({"a": 0.9, "b": 0.9, "c": 0.7}, sd=0.01)
    values["b"][1] = nan
    state = raced(RaceRules(methods=("a", "b", "c")), values)
    assert {method.name: method.status for method in state.methods} == {"a": "active", "b": "failed", "c": "dropped"}
    assert sentences(state, 0)[0].startswith("1 of 2 runs of b failed: it gets no more seeds")
    assert sentences(state)[-1].endswith("a is the best of the methods that did not fail.")
    ranked = raced(RaceRules(methods=("a", "b", "c"), goal="ranking"), values)
    assert {pair.status for pair in ranked.pairs if "b" in pair.names} == {"stopped"}


def test_one_that_is_left_because_the_others_failed_is_not_the_best() -> None:
    values = runs({"a": 0.9, "b": 0.9})
    values["b"][0] = nan
    state = raced(RaceRules(methods=("a", "b")), values)
    assert state.end == "too many failed"
    assert not state.is_answered


def test_failures_that_are_ignored_leave_the_other_runs() -> None:
    values = runs({"a": 0.9, "b": 0.6, "c": 0.9}, sd=0.01)
    values["b"][1] = nan
    rules = RaceRules(methods=("a", "b", "c"), failures="ignore")
    state = advance(RaceState(rules=rules), {name: array[:2] for name, array in values.items()})
    assert state.active == ("a", "b", "c")  # one run of b says nothing yet
    state = raced(rules, values, state)
    assert {method.name: (method.status, method.failed) for method in state.methods}["b"] == ("dropped", 1)
    values["b"][:] = nan
    assert {method.name: method.status for method in raced(rules, values).methods}["b"] == "failed"


def test_a_race_of_failures_ends() -> None:
    values = {name: np.full((10, 20), nan) for name in "ab"}
    for goal in GOALS:
        state = raced(RaceRules(methods=("a", "b"), goal=goal), values)
        assert state.end == "too many failed"
        assert sentences(state)[-1].endswith("mend them and start a new race.")


def test_methods_that_beat_each_other_in_a_circle_are_not_all_dropped() -> None:
    state = RaceState(rules=RaceRules(methods=("a", "b", "c"), failures="ignore"))
    circle = {("a", "b"): pair(0.5), ("b", "c"): pair(0.5), ("a", "c"): pair(-0.4)}
    assert decide(state, circle).active == ("a",)


def test_collapsed_runs_are_counted_and_stay_in() -> None:
    values = runs({"a": 0.9, "b": 0.9, "c": 0.9}, sd=0.004)
    values["c"][2] -= 0.4
    state = RaceState(rules=RaceRules(methods=("a", "b", "c"), goal="strict", chance=0.2, margin=0.02))
    collapsed = []
    for seeds in (2, 3):
        state = advance(state, {name: array[:seeds] for name, array in values.items()})
        collapsed.append([method.collapsed for method in state.methods])
    assert collapsed == [[0, 0, 0], [0, 0, 1]]
    assert "1 of 3 runs of c collapsed; its mean includes them." in sentences(state)
    (last,) = [pair.statistics for pair in state.pairs if pair.names == ("a", "c")]
    assert last is not None
    assert last.difference == pytest.approx(0.4 / 3, abs=0.02)
    below = advance(RaceState(rules=state.rules), {name: array[:2] * 0.1 for name, array in values.items()})
    assert [method.collapsed for method in below.methods] == [2, 2, 2]


def test_rows_that_nothing_changes_need_no_scatter() -> None:
    rng = np.random.default_rng(0)
    answers = (rng.random(200) < 0.7).astype(float)
    same, other = np.tile(answers, (10, 1)), np.tile(np.where(np.arange(200) < 1, 1 - answers, answers), (10, 1))
    assert pair_statistics(same, same) == PairStatistics(
        difference=0, seed_variance=0, interaction=0, example_variance=0, seeds=10, examples=200
    )
    assert raced(RaceRules(methods=("a", "b")), {"a": same, "b": same}).end == "good enough"
    state = raced(RaceRules(methods=("a", "b"), margin=0.001), {"a": same, "b": other})
    assert state.end == "futile"  # one answer of 200 is no evidence, though no seed changes it
    assert "rows with 10 seeds" in sentences(state)[-1]


@pytest.mark.parametrize(("seeds", "looks"), [(2, (2,)), (7, (2, 3, 4, 5, 6, 7)), (10, (2, 3, 4, 5, 6, 8, 10))])
def test_looks_end_with_the_seeds_that_are_allowed_and_spend_all_alpha(seeds: int, looks: tuple[int, ...]) -> None:
    rules = RaceRules(methods=("a", "b"), max_seeds=seeds)
    assert rules.looks == looks
    assert sum(map(rules.spent_at, looks)) == pytest.approx(rules.alpha)
