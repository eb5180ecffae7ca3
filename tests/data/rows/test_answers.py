"""Rows that annotators rejected, choices of annotation tools, and classes that are missing."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.answers import without_rejected
from ftlab.data.rows.row import BadRow, Row
from tests.data.making import build, dataset, jsonl, reviews
from tests.fixtures.refusals import refused

COLUMNS = {"text": "text", "label": "label"}


def _rows(*answers: str) -> list[Row | BadRow]:
    return [Row({"text": "a", "label": "b", "answer": answer}, f"a:{n}") for n, answer in enumerate(answers)]


def test_rejected_rows_are_bad_rows() -> None:
    rows = list(without_rejected(_rows("accept", "reject", "ignore"), COLUMNS))
    assert [row.reason if isinstance(row, BadRow) else "" for row in rows] == ["", "rejected", "rejected"]


@pytest.mark.parametrize(
    ("answers", "columns"),
    [(("accept", "reject", "maybe"), COLUMNS), (("reject",), {"text": "text", "label": "answer"})],
)
def test_other_answers_are_data(answers: tuple[str, ...], columns: dict[str, str]) -> None:
    assert list(without_rejected(_rows(*answers), columns)) == _rows(*answers)


@pytest.mark.parametrize(("task", "role"), [("classification", "label"), ("multilabel", "labels")])
def test_rejected_rows_stop_or_are_left_out(tmp_path: Path, task: str, role: str) -> None:
    rows: list[dict[str, Any]] = [
        {"text": row["text"], role: [row["label"]], "answer": "reject" if n == 3 else "accept"}
        for n, row in enumerate(reviews(40))
    ]
    source = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    with refused(DataError, "a.jsonl:4", "'reject'"):
        build(dataset(task, source))
    data = build(dataset(task, source, on_bad_rows="skip"))
    assert sum(data.rows.values()) == 39


@pytest.mark.parametrize(("task", "role"), [("classification", "label"), ("multilabel", "labels")])
def test_choices_of_annotation_tools_are_said(tmp_path: Path, task: str, role: str) -> None:
    prodigy = [{"text": "a", "options": [{"id": "pos"}], "accept": ["pos"], "answer": "accept"}]
    studio = [{"data": {"text": "a"}, "annotations": [{"result": [{"value": {"choices": ["pos"]}}]}]}]
    for row, culprits in ((prodigy, (f"dataset.columns.{role}=accept",)), (studio, ("Label Studio", "JSON-MIN"))):
        with refused(DataError, "a.jsonl:1", *culprits):
            build(dataset(task, {"train": jsonl(tmp_path / "a.jsonl", row)}, columns={"text": None, role: None}))


def test_a_missing_class_is_said_to_be_one(tmp_path: Path) -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    table = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    table.to_parquet(str(tmp_path / "a.parquet"))
    with refused(DataError, "a.parquet", "'label'", "holds -1"):
        build(dataset("classification", {"train": str(tmp_path / "a.parquet")}))
