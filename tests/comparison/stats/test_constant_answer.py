"""The best constant answer, against all constant answers."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, mean_squared_error

from ftlab.comparison.stats.constant_answer import best_constant, has_best_constant

CLASSES = ["tech"] * 3 + ["sport"] * 5 + ["arts"] * 2


def column(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def test_no_class_scores_more_than_the_most_frequent_one() -> None:
    answer, accuracy = best_constant("accuracy", "class", column(CLASSES))
    assert answer == "sport"
    assert accuracy == max(accuracy_score(CLASSES, [name] * 10) for name in set(CLASSES)) == 0.5
    answer, macro_f1 = best_constant("macro_f1", "class", column(CLASSES))
    of_each = [f1_score(CLASSES, [name] * 10, average="macro") for name in set(CLASSES)]
    assert answer == "sport"
    assert macro_f1 == pytest.approx(max(of_each))


def test_of_equally_frequent_classes_the_first_by_name_is_taken() -> None:
    assert best_constant("accuracy", "class", column(["b", "a", "b", "a"])) == ("a", 0.5)


@pytest.mark.parametrize(("metric", "error"), [("mae", mean_absolute_error), ("mse", mean_squared_error)])
def test_no_number_has_a_smaller_error(metric: str, error: Any) -> None:
    targets = np.array([0.0, 1.0, 2.0, 10.0, 30.0])
    answer, value = best_constant(metric, "numbers", column(targets.tolist()))
    assert value == pytest.approx(min(error(targets, np.full(5, number)) for number in np.arange(0, 30, 0.1)), rel=1e-4)
    assert answer == ("the median 2" if metric == "mae" else "the mean 8.6")


def test_several_targets_have_a_number_each() -> None:
    answer, value = best_constant("mae", "numbers", column([[0.0, 5.0], [1.0, 5.0], [5.0, 5.0]]))
    assert answer == "the median of each target"
    assert value == pytest.approx((5 / 3 + 0) / 2)


def test_several_labels_in_any_order_are_one_answer() -> None:
    labels = column([["a", "b"], ["b", "a"], ["a"], []])
    assert best_constant("subset_accuracy", "labels", labels) == ("a, b", 0.5)
    assert best_constant("subset_accuracy", "labels", column([["a"], [], []]))[0] == "no label"


def test_without_a_clear_meaning_there_is_none() -> None:
    assert has_best_constant("accuracy", "class")
    assert not has_best_constant("pearson", "numbers")
    assert not has_best_constant("micro_f1", "labels")
    assert not has_best_constant("f1", "tags")
    assert not has_best_constant("loss", "tokens")


def test_missing_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        best_constant("accuracy", "class", column(["a", None]))
