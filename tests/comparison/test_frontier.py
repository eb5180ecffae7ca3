"""The front of two measures, and how sure a row's place on it is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ftlab.comparison import compare
from ftlab.comparison.frontier import (
    MEMORY,
    TIME,
    dominating_rows,
    front_probabilities,
    frontier,
    headline_metric,
    on_front,
)
from tests.comparison.factory import add_run

POINTS = arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(-3, 3).map(float))


@given(POINTS)
def test_a_point_is_on_the_front_if_no_other_dominates_it(points: np.ndarray) -> None:
    def beats(one: np.ndarray, other: np.ndarray) -> bool:
        return bool((one >= other).all() and (one > other).any())

    assert on_front(points).tolist() == [not any(beats(other, own) for other in points) for own in points]
    assert on_front(points).any()


@given(POINTS)
def test_without_error_a_chance_is_the_front_itself(points: np.ndarray) -> None:
    exact = front_probabilities(points, np.zeros_like(points), np.full_like(points, np.inf))
    assert exact.tolist() == on_front(points).astype(float).tolist()


def test_a_chance_is_that_of_the_better_mean() -> None:
    """Two rows of the same cost: the front is the better one, and how sure that is follows from the errors."""
    means, errors = np.array([[0.90, 1.0], [0.91, 1.0]]), np.array([[0.01, 0.0], [0.01, 0.0]])
    low, high = front_probabilities(means, errors, np.full_like(means, np.inf))
    # P(N(0.01, 0.01·√2) > 0) = Φ(0.7071) = 0.760; 1,000 draws scatter by 0.0135
    assert high == pytest.approx(0.760, abs=0.05)
    assert low + high == pytest.approx(1.0)


def test_rows_of_real_records_find_their_places(tmp_path: Path) -> None:
    for method, accuracy in {"full": 0.95, "lora": 0.94, "prefix": 0.87}.items():
        for seed in (0, 1, 2):
            add_run(tmp_path, method, seed=seed, accuracy=accuracy + 0.002 * seed, curves=False)
    (table,) = compare([tmp_path]).tables
    first = headline_metric(table)
    assert first is not None
    places = {place.row: place for place in frontier(table, first, MEMORY)}
    assert {row: place.on_front for row, place in places.items()} == {"full": True, "lora": True, "prefix": True}
    assert all(0 <= place.front_probability <= 1 for place in places.values())
    assert places["full"].x == pytest.approx(0.952)

    add_run(tmp_path, "ia3", like="full", accuracy=0.80, curves=False)  # as costly as full, and worse
    (table,) = compare([tmp_path]).tables
    placed = frontier(table, first, TIME)
    (ia3,) = (place for place in placed if place.row == "ia3")
    assert not ia3.on_front
    assert ia3.front_probability < 0.05
    assert "lora" in dominating_rows(placed, "ia3", first, TIME)


def test_rows_without_a_measure_have_no_place(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", changes={"cost": None}, curves=False)
    (table,) = compare([tmp_path]).tables
    first = headline_metric(table)
    assert first is not None
    assert frontier(table, first, MEMORY) == ()
