"""Statements within a margin, on simulated rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.comparison.margins import MarginTests
from ftlab.comparison.pairs import RowMeasurements
from ftlab.comparison.predictions import ExamplePredictions
from ftlab.comparison.stats.inference import MarginStatement
from ftlab.comparison.stats.pooled_variance import PooledVariances
from tests.fixtures.statements import states

ALPHA = 0.05


def row(label: str, hits: np.ndarray, *, predictions: bool = True) -> RowMeasurements:
    """Return a row with these answers, (seeds, examples)."""
    ids = np.array([f"{index:06x}" for index in range(hits.shape[1])])
    values = {seed: float(answers.mean()) for seed, answers in enumerate(hits)}
    runs = {
        seed: ExamplePredictions("rouge_l", "other", ids, pa.table({"rouge_l": answers.astype(float)}))
        for seed, answers in enumerate(hits)
    }
    return RowMeasurements(label, "rouge_l", values, runs if predictions else {})


def sweep(
    rng: np.random.Generator, accuracies: list[float], *, seeds: int = 5, examples: int = 2000, sd: float = 0.003
) -> list[RowMeasurements]:
    """Return rows whose runs scatter by `sd`, and whose answers waver on hard examples."""
    hard = rng.random(examples)
    rows = []
    for index, accuracy in enumerate(accuracies):
        runs = accuracy + rng.normal(0, sd, (seeds, 1)) + rng.normal(0, 0.02, (seeds, examples))
        rows.append(row(f"m{index}", hard < runs))
    return rows


def margin_tests(rows: list[RowMeasurements], margin: float, *, higher_is_better: bool = True) -> MarginTests:
    pool = PooledVariances({one.row: one.values for one in rows})
    return MarginTests(rows, pool, higher_is_better=higher_is_better, margin=margin)


def verdicts(statements: list[MarginStatement]) -> list[str]:
    return [statement.verdict for statement in statements]


def test_rows_are_as_good_worse_by_more_or_open() -> None:
    rows = sweep(np.random.default_rng(0), [0.93, 0.929, 0.80, 0.915], seeds=10)
    statements = margin_tests(rows, 0.012).against_best(ALPHA)
    assert verdicts(statements) == ["as good", "as good", "worse by more", "open"]
    last = statements[-1]
    assert last.low is not None
    assert last.high is not None
    assert last.low < 0.012 < last.high
    assert last.seeds_needed is not None
    assert last.seeds_needed > 10
    states(last.what_would_decide, last.seeds_needed, "seeds")


def test_the_direction_is_that_of_the_metric() -> None:
    rows = sweep(np.random.default_rng(0), [0.93, 0.80], seeds=5)
    assert verdicts(margin_tests(rows, 0.01, higher_is_better=False).against_best(ALPHA)) == [
        "worse by more",
        "as good",
    ]


def test_rows_on_the_margin_are_seldom_called_as_good() -> None:
    """Two rows exactly one margin behind the best: any of them as good is an error, in 5 % of sweeps at most."""
    rng, errors, draws = np.random.default_rng(1), 0, 150
    for _ in range(draws):
        rows = sweep(rng, [0.93, 0.92, 0.92, 0.93], examples=600)
        statements = margin_tests(rows, 0.01).against_best(ALPHA)
        errors += any(statement.verdict == "as good" for statement in statements[1:3])
    assert errors / draws <= 0.05 + 2 * (0.05 * 0.95 / draws) ** 0.5


def test_what_is_said_to_be_needed_decides() -> None:
    """With as many seeds as were named, most open rows of the same kind are decided."""
    rng = np.random.default_rng(2)
    few = margin_tests(sweep(rng, [0.93, 0.93], seeds=3), 0.008).against_best(ALPHA)
    needed = max(statement.seeds_needed or 0 for statement in few)
    assert needed > 3
    decided = [
        "open" not in verdicts(margin_tests(sweep(rng, [0.93, 0.93], seeds=2 * needed), 0.008).against_best(ALPHA))
        for _ in range(20)
    ]
    assert np.mean(decided) > 0.6


def test_against_a_reference_holm_corrects_and_the_reference_has_no_statement() -> None:
    rows = sweep(np.random.default_rng(3), [0.93, 0.94, 0.80], seeds=10)
    statements = margin_tests(rows, 0.01).against(rows[0], ALPHA)
    assert [statement.row for statement in statements] == ["m1", "m2"]
    assert verdicts(statements) == ["as good", "worse by more"]
    assert statements[0].behind < 0  # it is ahead


def test_a_row_that_cannot_be_tested_leaves_the_others_open() -> None:
    rows = sweep(np.random.default_rng(4), [0.93, 0.929], seeds=10)
    rows.append(row("lonely", np.ones((1, 2000)), predictions=False))
    statements = margin_tests(rows, 0.02).against_best(ALPHA)
    assert verdicts(statements) == ["open"] * 3
    states(statements[0].what_would_decide, "predictions")
    assert statements[2].low is None


def test_seeds_with_more_examples_are_named_where_neither_is_enough() -> None:
    rng = np.random.default_rng(5)
    rows = sweep(rng, [0.931, 0.93], seeds=3, examples=150, sd=0.01)
    statements = margin_tests(rows, 0.004).against_best(ALPHA)
    both = [statement for statement in statements if statement.both_needed]
    assert both
    states(both[0].what_would_decide, both[0].seeds_needed, "seeds with", "test examples")


def test_equal_metrics_of_all_seeds_are_no_certainty() -> None:
    """Summed up in another order, three equal metrics had a variance of 1e-34, and the bounds were a point."""
    rows = sweep(np.random.default_rng(20180829), [0.9, 0.91, 0.88, 0.7], seeds=3, examples=80)
    statement = margin_tests(rows, 0.125).against_best(ALPHA)[2]
    assert statement.low is not None
    assert statement.high is not None
    assert statement.high - statement.low > 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.2), st.permutations(range(4)))
def test_the_order_of_rows_changes_nothing(seed: int, margin: float, order: list[int]) -> None:
    rows = sweep(np.random.default_rng(seed), [0.9, 0.91, 0.88, 0.7], seeds=3, examples=80)
    first = {s.row: s for s in margin_tests(rows, margin).against_best(ALPHA)}
    second = {s.row: s for s in margin_tests([rows[index] for index in order], margin).against_best(ALPHA)}
    for label, statement in first.items():
        other = second[label]
        assert other.verdict == statement.verdict
        assert other.low == pytest.approx(statement.low)
        assert other.high == pytest.approx(statement.high)
        if statement.low is not None and statement.high is not None:
            assert statement.low - 1e-9 <= statement.behind <= statement.high + 1e-9
            assert (statement.verdict == "as good") == (statement.high <= margin)
            assert (statement.verdict == "worse by more") == (statement.low > margin)


def test_an_open_row_of_single_seeds_names_the_examples_that_would_decide_it() -> None:
    one, other, worse = sweep(np.random.default_rng(3), [0.9, 0.89, 0.7], seeds=1, examples=400)
    statements = margin_tests([one, other, worse], 0.01).against_best(ALPHA)
    assert "open" in verdicts(statements)
    for statement in statements:
        assert statement.scope == "trained models"
        if statement.verdict == "open":
            assert statement.examples_needed is not None
            assert statement.examples_needed > 400


def test_an_open_row_without_predictions_names_the_seeds_that_would_decide_it() -> None:
    rng = np.random.default_rng(1)
    rows = [row(label, rng.random((3, 400)) < rate, predictions=False) for label, rate in (("a", 0.9), ("b", 0.88))]
    statements = margin_tests(rows, 0.01).against_best(ALPHA)
    open_rows = [statement for statement in statements if statement.verdict == "open"]
    assert open_rows
    assert all(statement.seeds_needed and statement.seeds_needed > 3 for statement in open_rows)


@pytest.mark.parametrize(("examples", "verdict"), [(20, "open"), (2000, "as good")])
def test_rows_that_are_right_on_all_of_few_examples_may_still_differ(examples: int, verdict: str) -> None:
    rows = [row(label, np.ones((3, examples))) for label in ("a", "b")]
    statements = margin_tests(rows, 0.01).against_best(ALPHA)
    assert verdicts(statements) == [verdict, verdict]
    for statement in statements:
        assert statement.high == pytest.approx(1 - ALPHA ** (1 / examples))
    if verdict == "open":
        assert statements[0].examples_needed == 299  # 0.95 = 1 - 0.99^299


def test_bounds_stay_within_what_the_metric_allows() -> None:
    rng = np.random.default_rng(0)
    rows = [row(label, (rng.random((2, 4)) < rate).astype(float)) for label, rate in (("a", 0.9), ("b", 0.4))]
    for statement in margin_tests(rows, 0.01).against_best(ALPHA):
        assert statement.low is not None
        assert statement.high is not None
        assert -1 <= statement.low <= statement.high <= 1
