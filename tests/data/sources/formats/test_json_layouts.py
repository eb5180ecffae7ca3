"""Layouts of JSON files, as pandas, `datasets`, the hub's data server and SQuAD write them."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.files import read
from ftlab.data.sources.formats.json_layouts import rows_of_object
from tests.fixtures.refusals import refused

ROWS = [{"text": f"text {n}", "label": n % 2} for n in range(12)]


def _rows(path: Path, **settings: Any) -> list[dict[str, Any]]:
    rows = list(read(str(path), **settings)["train"])
    assert not [row for row in rows if isinstance(row, BadRow)]
    return [dict(row.values) for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "records"])
@pytest.mark.parametrize("index", [None, [f"id{n}" for n in range(12)]])
def test_every_orient_of_pandas_is_read(tmp_path: Path, orient: Any, index: list[str] | None) -> None:
    path = tmp_path / "a.json"
    pd.DataFrame(ROWS, index=index).to_json(path, orient=orient)
    assert [{key: row[key] for key in ("text", "label")} for row in _rows(path)] == ROWS
    indented = tmp_path / "b.json"
    indented.write_text("\ufeff" + json.dumps(json.loads(path.read_text()), indent=1), encoding="utf-8")
    assert _rows(indented) == _rows(path)
    if orient in ("columns", "index"):
        nested = tmp_path / "c.json"
        nested.write_text(json.dumps({"data": json.loads(path.read_text())}))
        assert _rows(nested, fields="data") == _rows(path)


def test_the_orient_values_needs_names(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_json(tmp_path / "a.json", orient="values")
    assert _rows(tmp_path / "a.json", names=["text", "label"]) == ROWS
    (first, *_) = read(str(tmp_path / "a.json"))["train"]
    assert isinstance(first, BadRow)
    assert "dataset.source.names" in first.message


def test_columns_of_datasets_are_read(tmp_path: Path) -> None:
    words = [{"tokens": ["Ada", "wrote"], "tags": ["B-PER", "O"]}, {"tokens": ["No"], "tags": ["O"]}]
    for rows in (ROWS, words, [{"text": "one document"}, {"text": "another"}], [{"tokens": ["a"]}]):
        (tmp_path / "a.json").write_text(json.dumps(datasets.Dataset.from_list(rows).to_dict()))
        assert _rows(tmp_path / "a.json") == rows


def test_rows_under_the_only_key_are_read(tmp_path: Path) -> None:
    for content in (
        {"data": ROWS},
        {"version": "1.1", "info": {"by": "us"}, "data": ROWS},
        {"count": 12, "data": ROWS},
    ):
        (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
        assert _rows(tmp_path / "a.json.gz") == ROWS


def test_answers_of_the_data_server_have_class_names(tmp_path: Path) -> None:
    features = [
        {"feature_idx": 0, "name": "text", "type": {"dtype": "string", "_type": "Value"}},
        {"feature_idx": 1, "name": "label", "type": {"names": ["neg", "pos"], "_type": "ClassLabel"}},
    ]
    rows = [{"row_idx": n, "row": row, "truncated_cells": []} for n, row in enumerate(ROWS)]
    rows[3]["truncated_cells"] = ["text"]
    (tmp_path / "a.json").write_text(json.dumps({"features": features, "rows": rows, "num_rows_total": 12}))
    read_rows = list(read(str(tmp_path / "a.json"))["train"])
    assert [row.values["label"] for row in read_rows if isinstance(row, Row)][:3] == ["neg", "pos", "neg"]
    assert isinstance(read_rows[3], BadRow)
    assert read_rows[3].where == "a.json, item 4"
    assert "text" in read_rows[3].message


@pytest.mark.parametrize(
    "row",
    [
        {"tokens": ["a", "b"], "tags": ["O", "O"]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"translation": {"en": "a", "de": "b"}},
        {"text": "a", "labels": ["x", "y"]},
        {"text": ["a", "b"], "label": "x"},
    ],
)
def test_an_object_that_is_a_row_stays_one(tmp_path: Path, row: dict[str, Any]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(row, indent=1))
    assert _rows(tmp_path / "a.json") == [row]


@pytest.mark.parametrize(
    ("content", "culprits"),
    [
        ({"text": ["a", "b"], "label": [1]}, ("text has 2", "label has 1")),
        ({"train": [["a", "x"]], "val": [["b", "x"]]}, ("{train:train,val:val}", "dataset.source.fields")),
        ({"data": [["a", "x"], ["b", "y"]]}, ("data", "dataset.source.fields")),
        ({"train": ROWS, "validation": ROWS[:5]}, ("{train:train,val:validation}", "dataset.source.fields")),
        ({"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 4}}, ("a, b", "x, y", "records")),
        ({"version": "1", "data": [{"title": "t", "paragraphs": [{"qas": []}]}]}, ("SQuAD", "question")),
    ],
)
def test_what_is_unclear_is_said(tmp_path: Path, content: dict[str, Any], culprits: tuple[str, ...]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with refused(DataError, "a.json", *culprits):
        list(read(str(tmp_path / "a.json"))["train"])


def test_a_list_and_lines_are_read_under_either_name(tmp_path: Path) -> None:
    for name, text in {
        "list.jsonl": json.dumps(ROWS),
        "long.jsonl": json.dumps(ROWS, indent=1),
        "start.jsonl": "[" + ",\n".join(map(json.dumps, ROWS)) + "]\n",
        "columns.jsonl": json.dumps(pd.DataFrame(ROWS).to_dict("list"), indent=1),
        "lines.json": "\n".join(map(json.dumps, ROWS)),
    }.items():
        (tmp_path / name).write_text(text)
        assert _rows(tmp_path / name) == ROWS


_SCALARS = st.one_of(st.text(max_size=5), st.integers(), st.none())


@given(st.integers(2, 4), st.integers(1, 5), st.data())
def test_lists_of_columns_are_their_rows(columns: int, length: int, data: st.DataObject) -> None:
    names = [f"c{number}" for number in range(columns)]
    rows = [{name: data.draw(_SCALARS) for name in names} for _ in range(length)]
    by_column = {name: [row[name] for row in rows] for name in names}
    assert list(rows_of_object(by_column) or ()) == rows
    by_index = {name: {str(index): row[name] for index, row in enumerate(rows)} for name in names}
    assert list(rows_of_object(by_index) or ()) == rows
