"""The source of one's own files: which files make a split, and what is said before anything is read."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow
from ftlab.data.sources.files import read
from tests.data.making import build, dataset, jsonl, reviews
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


def _values(rows: Any) -> list[dict[str, Any]]:
    found = list(rows)
    assert not [row for row in found if isinstance(row, BadRow)]
    return [dict(row.values) for row in found]


def test_several_files_are_one_after_the_other(tmp_path: Path) -> None:
    paths = [jsonl(tmp_path / f"{n}.jsonl", [{"n": n}]) for n in (1, 2)]
    assert _values(read([*paths, paths[0]])["train"]) == [{"n": 1}, {"n": 2}, {"n": 1}]
    with refused(DataError, "dataset.source", "files"):
        read([])


def test_parallel_files_are_read_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one\n\nthree\u2028and more\n")
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(b"eins\r\nzwei\r\ndrei"))
    rows = list(read({"source": str(tmp_path / "a.en"), "target": str(tmp_path / "a.de.gz")})["train"])
    assert [dict(row.values) for row in rows if not isinstance(row, BadRow)] == [
        {"source": "one", "target": "eins"},
        {"source": "", "target": "zwei"},
        {"source": "three\u2028and more", "target": "drei"},
    ]
    assert rows[1].where == "a.en+a.de.gz:2"


@pytest.mark.parametrize(("first", "second"), [("1\n2\n3\n", "1\n2\n"), ("1\n", "1\n2\n3\n"), ("", "1\n")])
def test_parallel_files_of_unequal_length(tmp_path: Path, first: str, second: str) -> None:
    for name, text in (("a.en", first), ("a.de", second)):
        (tmp_path / name).write_text(text)
    counts = first.count("\n"), second.count("\n")
    with refused(DataError, f"a.en has {counts[0]}", f"a.de has {counts[1]}"):
        list(read({"source": str(tmp_path / "a.en"), "target": str(tmp_path / "a.de")})["train"])


def test_a_folder_per_class(tmp_path: Path) -> None:
    for label, texts in {"neg": ["poor\r\nvery poor\r\n"], "pos": ["fine", " good "]}.items():
        (tmp_path / "train" / label).mkdir(parents=True)
        for number, text in enumerate(texts):
            (tmp_path / "train" / label / f"{number}.txt").write_bytes(text.encode())
    (tmp_path / "train" / ".DS_Store").write_bytes(b"\x00\x00")
    rows = list(read(str(tmp_path / "train"))["train"])
    assert [dict(row.values) for row in rows if not isinstance(row, BadRow)] == [
        {"text": "poor\nvery poor", "label": "neg"},
        {"text": "fine", "label": "pos"},
        {"text": "good", "label": "pos"},
    ]
    assert rows[2].where == "train/pos/1.txt"


def test_a_file_per_class(tmp_path: Path) -> None:
    (tmp_path / "neg.txt").write_text("poor\n\nbad\n")
    (tmp_path / "pos.txt.gz").write_bytes(gzip.compress(b"fine\n"))
    (tmp_path / "rt-polarity.other").write_text("so so\n")
    rows = list(read(str(tmp_path))["train"])
    assert [(row.values["text"], row.values["label"]) for row in rows if not isinstance(row, BadRow)] == [
        ("poor", "neg"),
        ("bad", "neg"),
        ("fine", "pos"),
        ("so so", "rt-polarity.other"),
    ]
    assert rows[1].where.endswith("/neg.txt:3")


def test_folders_that_are_neither(tmp_path: Path) -> None:
    (tmp_path / "mixed" / "pos").mkdir(parents=True)
    (tmp_path / "mixed" / "readme.md").write_text("x")
    with refused(DataError, "mixed", "pos", "readme.md"):
        list(read(str(tmp_path / "mixed"))["train"])
    (tmp_path / "mixed" / "readme.md").unlink()
    with refused(DataError, str(tmp_path / "mixed" / "pos"), "empty"):
        list(read(str(tmp_path / "mixed"))["train"])
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("text,label\n")
    with refused(DataError, str(tmp_path / "tables"), "a.csv"):
        list(read(str(tmp_path / "tables"))["train"])


def test_lines_with_a_label_ahead(tmp_path: Path) -> None:
    path = tmp_path / "TREC.train"
    path.write_text("NUM:dist How far is it ?\n\nHUM:desc  Who was: he ?\n")
    rows = _values(read(str(path), format="labelled")["train"])
    assert rows == [{"label": "NUM:dist", "text": "How far is it ?"}, {"label": "HUM:desc", "text": "Who was: he ?"}]
    rows = _values(read(str(path), format="labelled", separator=": ", names=["label", "fine", "text"])["train"])
    assert rows[1] == {"label": "HUM", "fine": "desc", "text": "Who was: he ?"}
    path.write_text("NUM:dist How far ?\nalone\n")
    (_, bad) = read(str(path), format="labelled")["train"]
    assert isinstance(bad, BadRow)
    assert (bad.where, bad.reason) == ("TREC.train:2", "wrong number of fields")


def test_other_separators(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text;label\n"one; two";good\n')
    assert _values(read(str(path), separator=";")["train"]) == [{"text": "one; two", "label": "good"}]
    path.write_text("text\tlabel\none, two\tgood\n")
    assert _values(read(str(path), separator="\\t")["train"]) == [{"text": "one, two", "label": "good"}]
    with refused(DataError, "dataset.source.separator='; '"):
        list(read(str(path), separator="; ")["train"])


def test_splits_under_keys_of_one_json_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": [["a", "x"], ["b", "y"]], "data": {"val": [["c", "x"]]}}))
    told = {"names": ["text", "label"], "fields": {"train": "train", "val": "data.val"}}
    splits = read(str(path), **told)
    assert _values(splits["val"]) == [{"text": "c", "label": "x"}]
    train = list(splits["train"])
    assert train[1].where == "a.json, train, item 2"
    (_row, bad) = read(str(path), names=["text"], fields="train")["train"]
    assert isinstance(bad, BadRow)
    states(bad.message, 2, 1, "(text)")
    for fields, culprits in [
        ("tran", ("'tran'", "dataset.source.fields", "mean train?")),
        ("train.x", ("'x'", "dataset.source.fields", "object")),
        ("data", ("dataset.source.fields=data", "list")),
    ]:
        with refused(DataError, "a.json", *culprits):
            list(read(str(path), fields=fields)["train"])
    with refused(DataError, "dataset.source.fields.dev", "train", "val", "test"):
        read(str(path), fields={"dev": "train"})


def test_a_single_object_is_a_row_unless_it_holds_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    talk = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    for indent in (None, 1):
        path.write_text(json.dumps(talk, indent=indent))
        assert _values(read(str(path))["train"]) == [talk]


def test_a_column_that_tells_the_split(tmp_path: Path) -> None:
    rows = [{**row, "split": ("train", "Dev", "test", "train")[n % 4]} for n, row in enumerate(reviews(40))]
    path = jsonl(tmp_path / "a.jsonl", rows)
    data = build(dataset("classification", {"train": path, "split_column": "split"}))
    assert data.rows == {"train": 20, "val": 10, "test": 10}
    with refused(DataError, "a.jsonl:1", "'spilt'", "dataset.source.split_column", "mean split?"):
        read(path, split_column="spilt")
    with refused(DataError, "dataset.source.split_column", "dataset.source.val", "test"):
        read(path, val=path, split_column="split")
    rows[6]["split"] = "holdout"
    source = {"train": jsonl(tmp_path / "b.jsonl", rows), "split_column": "split"}
    with refused(DataError, "b.jsonl:7", "'holdout'", "train", "val", "dev", "test"):
        build(dataset("classification", source))
    assert build(dataset("classification", source, on_bad_rows="skip")).dropped == {"unknown split": 1}


def test_a_format_set_by_hand(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.data", [{"n": 1}])
    assert _values(read(path, format="jsonl")["train"]) == [{"n": 1}]
    with refused(DataError, "dataset.source.format=jsnol", "mean jsonl?"):
        read(path, format="jsnol")
    with refused(DataError, "rows.data", "dataset.source.format", "csv, tsv"):
        read(path)


def test_what_is_missing_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"n": 1}])
    with refused(DataError, "none.jsonl", "exist"):
        read(path, test=str(tmp_path / "none.jsonl"))
