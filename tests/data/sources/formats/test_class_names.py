"""Class names for class ids, in files that `datasets` wrote: Parquet, Arrow, and folders of `save_to_disk`."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.conll import read as read_words
from ftlab.data.sources.files import read
from ftlab.data.sources.formats.class_names import class_decoders, features_in_schema
from tests.fixtures.refusals import refused

TAGS = datasets.ClassLabel(names=["O", "B-PER"])
FEATURES = datasets.Features(
    {
        "tokens": datasets.List(datasets.Value("string")),
        "tags": datasets.List(TAGS),
        "label": datasets.ClassLabel(names=["neg", "pos"]),
        "deep": datasets.List(datasets.List(TAGS)),
        "object": {"inner": TAGS, "other": datasets.Value("int64")},
    }
)
ROWS: dict[str, list[Any]] = {
    "tokens": [["Ada", "wrote"], ["No"], ["Bo"]],
    "tags": [[1, 0], [-1], None],
    "label": [1, 0, -1],
    "deep": [[[0], [1]], [], [[-1]]],
    "object": [{"inner": 1, "other": 1}, {"inner": 0, "other": 0}, {"inner": -1, "other": 5}],
}
NAMES = [
    {
        "tokens": ["Ada", "wrote"],
        "tags": ["B-PER", "O"],
        "label": "pos",
        "deep": [["O"], ["B-PER"]],
        "object": {"inner": "B-PER", "other": 1},
    },
    {"tokens": ["No"], "tags": [None], "label": "neg", "deep": [], "object": {"inner": "O", "other": 0}},
    {"tokens": ["Bo"], "tags": None, "label": None, "deep": [[None]], "object": {"inner": None, "other": 5}},
]


@pytest.fixture(scope="module")
def table() -> datasets.Dataset:
    return datasets.Dataset.from_dict(ROWS, features=FEATURES)


def _values(rows: Any) -> list[dict[str, Any]]:
    return [dict(row.values) for row in rows if isinstance(row, Row)]


def test_every_file_that_datasets_writes_has_names(tmp_path: Path, table: datasets.Dataset) -> None:
    table.to_parquet(str(tmp_path / "a.parquet"))
    with pa.OSFile(str(tmp_path / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.data.schema) as writer:
        writer.write_table(table.data.table)
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.data.schema) as writer:
        writer.write_table(table.data.table)
    feather.write_feather(table.data.table, str(tmp_path / "a.feather"), compression="zstd")
    table.save_to_disk(str(tmp_path / "saved"))
    for name in ("a.parquet", "file.arrow", "stream.arrow", "a.feather", "saved"):
        for rows in (read(str(tmp_path / name))["train"], read_words(str(tmp_path / name))["train"]):
            assert _values(rows) == NAMES


def test_shards_of_a_saved_data_set_are_in_the_order_of_its_state(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}"} for n in range(24)]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"), num_shards=12)
    read_rows = list(read(str(tmp_path / "saved"))["train"])
    assert _values(read_rows) == rows
    assert read_rows[2].where == "saved/data-00001-of-00012.arrow, row 1"
    (tmp_path / "saved" / "data-00003-of-00012.arrow").unlink()
    with refused(DataError, "saved", "data-00003-of-00012.arrow"):
        list(read(str(tmp_path / "saved"))["train"])


def test_saved_splits_are_those_that_are_not_set(tmp_path: Path) -> None:
    splits = {name: datasets.Dataset.from_dict({"text": [name]}) for name in ("train", "validation", "test", "extra")}
    folder = tmp_path / "dict"
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    rows = {split: _values(rows) for split, rows in read(str(folder)).items()}
    assert rows == {"train": [{"text": "train"}], "val": [{"text": "validation"}], "test": [{"text": "test"}]}
    rows = {split: _values(rows) for split, rows in read(str(folder), test=str(folder / "extra")).items()}
    assert rows["test"] == [{"text": "extra"}]
    assert list(read(str(folder / "train"))) == ["train"]
    shutil.rmtree(folder / "test")
    with refused(DataError, "test", "state.json"):
        read(str(folder))


def test_an_order_of_rows_that_is_kept_apart_is_refused(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "old"))
    state = tmp_path / "old" / "state.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"_indices_data_files": [{"filename": "i.arrow"}]}))
    with refused(DataError, "old", "flatten_indices"):
        list(read(str(tmp_path / "old"))["train"])


def test_categories_of_pandas_are_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": pd.Categorical(["x", "y", None])})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_feather(tmp_path / "a.feather")
    for name in ("a.parquet", "a.feather"):
        assert [row["label"] for row in _values(read(str(tmp_path / name))["train"])] == ["x", "y", None]


def test_an_id_without_a_name_is_a_bad_row(tmp_path: Path, table: datasets.Dataset) -> None:
    column = pa.array([7, 0, -1])
    changed = table.data.table.set_column(2, table.data.schema.field("label"), column)
    parquet.write_table(changed.replace_schema_metadata(table.data.schema.metadata), tmp_path / "a.parquet")
    bad, *others = read(str(tmp_path / "a.parquet"))["train"]
    assert isinstance(bad, BadRow)
    assert all(name in f"{bad.where}{bad.message}" for name in ("a.parquet, row 1", "'label'", "7"))
    assert len(others) == 2


def test_text_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({"text": ["fine", "zzzz", "good"], "list": [["a"], ["b"], ["c"]]})
    parquet.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    (tmp_path / "a.parquet").write_bytes(sink.getvalue().to_pybytes().replace(b"zzzz", b"\xff\xfe\xfd\xfc"))
    rows = list(read(str(tmp_path / "a.parquet"))["train"])
    assert [type(row) for row in rows] == [Row, BadRow, Row]
    assert isinstance(rows[1], BadRow)
    assert all(name in f"{rows[1].where}{rows[1].message}" for name in ("a.parquet, row 2", "'text'", "UTF-8"))


def test_features_of_older_versions_and_damaged_ones() -> None:
    names = {"names": ["a", "b"], "_type": "ClassLabel"}
    decoders = class_decoders({"old": [names], "objects": {"feature": {"x": names}, "_type": "Sequence"}, "none": None})
    assert decoders["old"]([1, -1]) == ["b", None]
    assert decoders["objects"]({"x": [0, 1]}) == {"x": ["a", "b"]}
    assert decoders["old"](["b"]) == ["b"]  # names already
    for metadata in (None, {}, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"huggingface": b'{"info": null}'}):
        assert features_in_schema(metadata) == {}


@pytest.mark.parametrize("name", ["a.arrow", "a.feather"])
def test_a_damaged_arrow_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    feather.write_feather(pa.table({"text": ["a"] * 5000}), str(path), compression="uncompressed")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"text,label\n"):
        path.write_bytes(content)
        with refused(DataError, name):
            list(read(str(path))["train"])
    assert not path.write_bytes(b"")
    with refused(DataError, name):
        list(read(str(path))["train"])
