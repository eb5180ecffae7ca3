"""The baseline of a table is read from what the runs wrote."""

from pathlib import Path

import numpy as np
import pytest

from ftlab.comparison import compare
from ftlab.comparison.tables import Table
from ftlab.record import Data, Metric, MetricColumn, MixturePart
from tests.comparison.answered import column, with_hits, with_losses, write_rows
from tests.comparison.factory import add_run, demo

HITS = np.array([1.0] * 15 + [0.0] * 5)


def only(sweep: Path) -> Table:
    (table,) = compare([sweep]).tables
    return table


def test_the_most_frequent_test_label_is_the_baseline(tmp_path: Path) -> None:
    folder = with_hits(tmp_path, "full", 0, HITS)
    labels = ["sport"] * 12 + ["business"] * 8
    other = {"sport": "business", "business": "sport"}
    guesses = [label if hit else other[label] for label, hit in zip(labels, HITS, strict=True)]
    write_rows(folder, {"label": labels, "prediction": guesses})
    found = only(tmp_path).baseline
    assert found is not None
    assert (found.answer, found.value) == ("sport", 0.6)


def test_another_seed_serves_where_predictions_are_missing(tmp_path: Path) -> None:
    for seed in range(2):
        with_hits(tmp_path, "full", seed, HITS)
    next(tmp_path.glob("*seed0/predictions.parquet")).unlink()
    assert only(tmp_path).baseline is not None


def test_labels_of_different_test_sets_give_none(tmp_path: Path) -> None:
    with_hits(tmp_path, "full", 0, HITS)
    changed = Data(hash="another", rows={}, dropped={}, unknown_token_share=None, truncated_share=None, labels=[])
    changes = {"data": changed, "metrics": {"classification": {"test": {"accuracy": Metric(value=0.5, n=10)}}}}
    folder = add_run(tmp_path, "lora", changes=changes, curves=False)
    write_rows(folder, {"label": ["tech"] * 10, "prediction": ["tech", "sport"] * 5})
    assert only(tmp_path).baseline is None


def test_without_labels_or_a_meaning_there_is_none(tmp_path: Path) -> None:
    assert only(demo(tmp_path / "bare")).baseline is None
    with_losses(tmp_path / "loss", "full", 0, np.array([1.0, 2.0]), [3, 4])
    assert only(tmp_path / "loss").baseline is None


def test_of_a_correlation_the_error_beside_it_has_one(tmp_path: Path) -> None:
    targets, outputs = [1.0, 2.0, 3.0, 9.0], [1.0, 2.0, 4.0, 8.0]
    metrics = {"spearman": Metric(value=1.0, n=4), "mae": Metric(value=0.5, n=4)}
    columns = (*column("spearman"), MetricColumn(metric="mae", label="MAE", higher_is_better=False))
    changes = {
        "task": "regression",
        "predicts": "numbers",
        "metrics": {"regression": {"test": metrics}},
        "columns": columns,
    }
    folder = add_run(tmp_path, "full", changes=changes, curves=False)
    write_rows(folder, {"label": targets, "prediction": outputs}, task="regression")
    found = only(tmp_path).baseline
    assert found is not None
    assert (found.answer, found.value, found.column.metric) == ("the median 2.5", 2.25, "mae")


def test_a_table_without_tests_has_none(tmp_path: Path) -> None:
    with_hits(tmp_path, "full", 0, HITS)
    (table,) = compare([tmp_path], tests=False).tables
    assert table.baseline is None


@pytest.mark.parametrize("label", ["a\x1b[31m\nb", "word " * 100])
def test_a_label_from_a_file_is_one_short_printable_line(tmp_path: Path, label: str) -> None:
    folder = with_hits(tmp_path, "full", 0, HITS)
    write_rows(folder, {"label": [label] * 20, "prediction": [label] * 15 + ["other"] * 5})
    found = only(tmp_path).baseline
    assert found is not None
    assert found.answer.isprintable()
    assert 1 < len(found.answer) <= 40


def test_a_part_of_a_mixture_has_its_own_labels(tmp_path: Path) -> None:
    part = MixturePart(task="classification", predicts="class", share=1.0, rows={})
    data = Data(
        hash="0", rows={}, dropped={}, unknown_token_share=None, truncated_share=None, labels=[], parts={"topics": part}
    )
    changes = {
        "task": "mixture",
        "predicts": "other",
        "data": data,
        "columns": column("topics/accuracy"),
        "metrics": {"mixture": {"test": {"topics/accuracy": Metric(value=0.75, n=4)}}},
    }
    folder = add_run(tmp_path, "full", changes=changes, curves=False)
    write_rows(folder, {"label": list("aaab"), "prediction": list("aaaa")}, task="topics")
    found = only(tmp_path).baseline
    assert found is not None
    assert (found.answer, found.value) == ("a", 0.75)
