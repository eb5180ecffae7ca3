"""Predictions as the tests on examples read them: which columns make a metric, and whose."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftlab.comparison.predictions import UnusablePredictions, read_predictions

NOTHING = [None] * 4


def run_with(folder: Path, columns: dict[str, list[Any]], tests: dict[str, float], **parts: str) -> Any:
    """Return what is read of a run: its folder, its record and its test metrics; `parts`: name -> what it predicts."""
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    kinds = {name: SimpleNamespace(task="any", predicts=predicts) for name, predicts in parts.items()}
    record = SimpleNamespace(task="mixture" if parts else "mine", predicts="other", data=SimpleNamespace(parts=kinds))
    return SimpleNamespace(folder=folder, record=record, test=tests.get)


def test_a_metric_of_ones_own_is_the_mean_of_its_column(tmp_path: Path) -> None:
    rows = {"task": ["mine"] * 4, "split": ["test"] * 4, "example_id": list("abcd"), "distance": [0.0, 1.0, None, 3.0]}
    read = read_predictions(run_with(tmp_path, rows, {"distance": 4 / 3}), "distance")
    assert read.ids.tolist() == ["a", "b", "d"]
    assert read.contributions.tolist() == [0, 1, 3]
    with pytest.raises(UnusablePredictions, match="the record says 1"):
        read_predictions(run_with(tmp_path, rows, {"distance": 1.0}), "distance")


def test_a_column_of_another_part_of_a_mixture_is_not_taken(tmp_path: Path) -> None:
    """One part writes its macro-F1 for each example, the other is taken apart from its predictions."""
    columns = {
        "task": ["own"] * 4 + ["news"] * 4,
        "split": ["test"] * 8,
        "example_id": list("abcdefgh"),
        "macro_f1": [1.0, 0.0, 0.5, 0.5, *NOTHING],
        "label": [*NOTHING, "x", "y", "x", "y"],
        "prediction": [*NOTHING, "x", "y", "y", "x"],
    }
    run = run_with(tmp_path, columns, {"own/macro_f1": 0.5, "news/macro_f1": 0.5}, own="other", news="class")
    assert read_predictions(run, "own/macro_f1").contributions.tolist() == [1, 0, 0.5, 0.5]
    news = read_predictions(run, "news/macro_f1")
    assert news.ids.tolist() == ["e", "f", "g", "h"]
    assert news.contributions.mean() == pytest.approx(0.5)
