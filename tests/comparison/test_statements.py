"""Statements of the comparison on simulated sweeps whose truth is known: each rate was wrong at commit a36ff5e.

`python -m benchmarks.statements` measures the same worlds with more draws; docs/statistics_measured.md has its rates.
"""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.decision_cells import advised_collapse, advised_failure, regret, within
from benchmarks.statement_cells import (
    Counts,
    any_different,
    chosen_reference,
    classes,
    covers,
    deterministic,
    disjoint,
    letters,
    unbalanced,
    worse_row,
)
from benchmarks.statements_of import VERSION, Version, skip_what_is_not_measured
from benchmarks.worlds import Method

Count = Callable[[Version, np.random.Generator], Counts]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_what_is_not_measured(monkeypatch.setattr)


def rates(count: Count, draws: int) -> dict[str, float]:
    """Return the mean of each count over the draws that have it."""
    drawn = [count(VERSION, np.random.default_rng([2026, number])) for number in range(draws)]
    values = {what: [counts[what] for counts in drawn if counts[what] is not None] for what in drawn[0]}
    return {what: float(np.mean(numbers)) for what, numbers in values.items() if numbers}


def test_advice_is_within_the_margin_of_the_best_or_there_is_none() -> None:
    """The cheapest of the rows not told apart, which is what was advised, is the worst that is not yet detected."""
    advised = rates(regret([0.960, 0.954, 0.948, 0.942, 0.936, 0.930], 3, 445), 12)
    assert advised["> 1 pt below the best"] <= 0.1  # before: 0.9
    assert advised["> 2 pt below the best"] <= 0.1  # before: 0.8
    assert advised["no answer (1 pt)"] >= 0.5  # this little evidence decides nothing to a point


def test_equal_methods_get_the_cheapest_as_an_answer_once_the_evidence_is_there() -> None:
    advised = rates(regret([0.95] * 4, 10, 2000), 6)
    assert advised["no answer (2 pt)"] <= 0.2


def test_a_method_whose_runs_failed_is_not_advised() -> None:
    assert rates(advised_failure, 10)["it is advised"] == 0  # before: always


def test_a_method_with_a_collapsed_run_is_not_advised() -> None:
    assert rates(advised_collapse(3), 12)["advised, where a run collapsed"] == 0  # before: always


def test_a_row_interval_covers_the_expected_accuracy() -> None:
    for accuracy, seeds, examples in ((0.9, 10, 200), (0.9, 3, 50), (0.99, 3, 200)):
        covered = rates(covers(Method(accuracy, 0.005), seeds, examples), 60)
        assert covered["covered"] >= 0.88, (accuracy, seeds, examples)  # before: 0.46 with 10 seeds


def test_a_row_interval_stays_within_the_range_and_has_a_width() -> None:
    covered = rates(covers(Method(0.99, 0.005), 2, 50), 60)
    assert covered["outside [0, 1]"] == 0  # before: 0.5
    assert covered["width 0"] == 0  # before: 0.5


def test_three_seeds_find_a_method_four_points_worse() -> None:
    found = rates(worse_row(6, 3, 2000), 30)
    assert found["found"] >= 0.65  # before: 0.4
    assert found["another called different"] <= 0.1


def test_a_reference_chosen_after_looking_counts_as_all_pairs() -> None:
    count = chosen_reference([Method(0.945, 0.01)] * 10, 3, 200, "low", all_tried=False)
    assert rates(count, 24)["best seen"] <= 0.05  # before: 0.12


def test_one_differing_answer_of_rows_that_no_seed_changes_is_no_difference() -> None:
    assert rates(deterministic(200, 1), 3)["called different"] == 0  # before: always
    assert rates(deterministic(200, 2), 8)["called different"] == 0  # before: half


def test_macro_f1_of_many_classes_tells_equal_models_apart_no_more_often_than_it_may() -> None:
    assert rates(classes(200, frequent=True), 12)["called different"] <= 0.1  # before: 0.4


def test_few_common_seeds_do_not_throw_the_others_away() -> None:
    assert rates(unbalanced(0.04), 20)["called different"] >= 0.9  # before: 0.3
    assert rates(unbalanced(0.0), 40)["called different"] <= 0.1


def test_rows_of_other_test_examples_are_not_tested() -> None:
    assert rates(disjoint(3), 3)["tested"] == 0  # before: always


def test_rows_far_apart_share_no_letter() -> None:
    assert rates(letters, 20).get(".92 and .60 share a letter", 0) == 0  # before: 0.5


def test_equal_methods_of_high_accuracy_and_few_examples_keep_the_level() -> None:
    assert rates(any_different([Method(0.99, 0.005)] * 2, 10, 50, "low"), 100)["any called different"] <= 0.05


def test_as_good_within_a_margin_is_said_where_it_is_true() -> None:
    equal, on_margin = rates(within(0.0, 10, 2000), 4), rates(within(0.01, 3, 445), 10)
    for against in ("reference", "best"):
        assert equal[f"as good 2 pt, {against}"] >= 0.9
        for wrong in ("falsely as good", "falsely worse"):
            assert on_margin[f"{wrong} 1 pt, {against}"] <= 0.1
