"""Files of each split: lists, patterns and folders of shards, of every format, and what is refused of them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ftlab.config.fingerprint import config_hash
from ftlab.core.errors import DataError
from ftlab.data.rows.row import Row
from ftlab.data.sources import conll
from ftlab.data.sources.files import read, source_files
from ftlab.data.sources.source import require_files
from ftlab.launch.executor import Job
from ftlab.launch.local import LocalExecutor
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused

Frame = pd.DataFrame
WRITERS: dict[str, Callable[[Frame, Path], Any]] = {
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.to_csv(index=False).encode())),
    ".tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    ".jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    ".json": lambda frame, path: frame.to_json(path, orient="columns"),
    ".parquet": lambda frame, path: frame.to_parquet(path),
    ".feather": lambda frame, path: frame.to_feather(path),
}


def _texts(rows: Any) -> list[str]:
    return [row.values["text"] for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("suffix", WRITERS)
def test_shards_of_every_format_are_in_natural_order(tmp_path: Path, suffix: str) -> None:
    for number in (10, 9, 2):
        WRITERS[suffix](Frame({"text": [f"text {number}"], "label": ["a"]}), tmp_path / f"part-{number}{suffix}")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "README.md").write_text("about")
    expected = ["text 2", "text 9", "text 10"]
    assert _texts(read(str(tmp_path))["train"]) == expected
    assert _texts(read(f"{tmp_path}/part-*{suffix}")["train"]) == expected
    assert _texts(read([f"{tmp_path}/part-1*", f"{tmp_path}/part-2{suffix}"])["train"]) == ["text 10", "text 2"]
    assert next(iter(read(str(tmp_path))["train"])).where.startswith(f"part-2{suffix}")
    target = "ftlab.data.sources.files.read"
    names = [path.name for path in source_files({"_target_": target, "train": f"{tmp_path}/*{suffix}"})]
    assert names == [f"part-{number}{suffix}" for number in (2, 9, 10)]


@pytest.mark.parametrize("spec", [["a.conll", "b.conll"], "*.conll", "."])
def test_several_column_files_are_one_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.conll").write_text("Ada B-PER\nwrote O\n")
    (tmp_path / "b.conll").write_text("Rome B-LOC\n")
    rows = list(conll.read(spec)["train"])
    assert [row.where for row in rows] == ["a.conll:1", "b.conll:1"]
    assert list(rows[1].values["tags"]) == ["B-LOC"] if isinstance(rows[1], Row) else False


def test_a_folder_with_several_splits_gives_those_that_are_not_set(tmp_path: Path) -> None:
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001", "test-00000-of-00001"):
        Frame({"text": [name]}).to_parquet(tmp_path / f"{name}.parquet")
    splits = {split: _texts(rows) for split, rows in read(str(tmp_path)).items()}
    assert splits == {
        "train": ["train-00000-of-00002", "train-00001-of-00002"],
        "val": ["validation-00000-of-00001"],
        "test": ["test-00000-of-00001"],
    }
    only = read(f"{tmp_path}/train-*", test=str(tmp_path))
    assert {split: len(_texts(rows)) for split, rows in only.items()} == {"train": 2, "test": 1}


def test_a_file_per_class_keeps_its_meaning(tmp_path: Path) -> None:
    for label in ("train", "test"):
        (tmp_path / f"{label}.txt").write_text("a text\n")
    rows = [row.values for row in read(str(tmp_path))["train"] if isinstance(row, Row)]
    assert rows == [{"text": "a text", "label": "test"}, {"text": "a text", "label": "train"}]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_shards_with_other_columns_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    WRITERS[suffix](Frame({"text": ["a"], "label": ["x"]}), tmp_path / f"1{suffix}")
    WRITERS[suffix](Frame({"label": ["y"], "text": ["b"]}), tmp_path / f"2{suffix}")  # the order is free
    WRITERS[suffix](Frame({"c": ["z"], "y": ["d"]}), tmp_path / f"3{suffix}")
    rows = read(str(tmp_path))["train"]
    assert [next(rows).where.split(":")[0].split(",")[0] for _ in range(2)] == [f"1{suffix}", f"2{suffix}"]
    with refused(DataError, f"1{suffix}", f"3{suffix}", "c, y", "label, text"):
        next(rows)


def test_a_file_may_have_further_columns(tmp_path: Path) -> None:
    for number, columns in enumerate((["text", "label"], ["text", "label", "id"], ["text", "label"]), 1):
        (tmp_path / f"{number}.csv").write_text(f"{','.join(columns)}\n{','.join('a' * len(columns))}\n")
    assert _texts(read(str(tmp_path))["train"]) == ["a", "a", "a"]


@pytest.mark.parametrize(
    ("names", "culprits"),
    [
        (("a.csv", "b.jsonl"), ("a.csv", "b.jsonl", "*.")),
        (("train-1.csv", "b.csv"), ("train-1.csv", "b.csv")),
        (("a.csv", "inner/b.csv"), ("a.csv", "inner")),
        (("val-1.csv", "test-1.csv"), ("val and test", "dataset.source.train")),
    ],
)
def test_a_folder_whose_files_cannot_be_told_apart(
    tmp_path: Path, names: tuple[str, ...], culprits: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text,label\na,b\n")
    with refused(DataError, tmp_path, *culprits):
        read(str(tmp_path))


def test_what_is_no_path_is_refused() -> None:
    for spec in (5, [5], [None]):
        with refused(DataError, "dataset.source.train"):
            require_files({"_target_": "ftlab.data.sources.files.read", "train": spec})


@pytest.mark.parametrize("note", ["SOURCE.txt", "ABOUT.md", "CITATION", "NOTICE.txt", "README.md", "LICENSE.txt"])
def test_notes_beside_column_files_are_no_data(tmp_path: Path, note: str) -> None:
    names = ("set.dev.conll", "set.test.annotated", "set17train.conll")
    for name in names:
        (tmp_path / name).write_text("Ada B-PER\n")
    (tmp_path / note).write_text("where it is from\n")
    splits = {split: [row.where for row in rows] for split, rows in conll.read(str(tmp_path)).items()}
    assert splits == {"train": [f"{names[2]}:1"], "val": [f"{names[0]}:1"], "test": [f"{names[1]}:1"]}


def test_a_pattern_is_suggested_for_most_of_the_files(tmp_path: Path) -> None:
    for name in ("a.log", "b.conll", "c.conll"):
        (tmp_path / name).write_text("Ada B-PER\n")
    with refused(DataError, "a.log", "b.conll", f"{tmp_path}/*.conll"):
        conll.read(str(tmp_path))


def test_files_of_one_split_in_two_formats_are_refused(tmp_path: Path) -> None:
    for name in ("train.csv", "train.jsonl", "test.csv"):
        (tmp_path / name).write_text("text,label\na,b\n")
    with refused(DataError, "train.jsonl", f"{tmp_path}/*.csv"):
        read(str(tmp_path))


MISSING = [
    ("dataset.source.train=no.csv", "no.csv"),
    ("dataset.source.train='no-*.csv'", "no-*.csv"),
    ("dataset.source.test=no.csv", "no.csv"),
    ("dataset.source.val='[a.csv,no.csv]'", "no.csv"),
]


@pytest.mark.parametrize("name", ["text_files", "token_files"])
@pytest.mark.parametrize(("override", "culprit"), MISSING)
def test_a_missing_file_stops_before_any_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, override: str, culprit: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    values = composed(f"dataset={name}", "dataset.source.train=a.csv", override.replace("'", ""))
    with refused(DataError, culprit):
        require_files(values.dataset.source)
    with refused(DataError, culprit):
        LocalExecutor(1).check(Job(values, tmp_path, []))
    LocalExecutor(1).check(Job(composed(f"dataset={name}", "dataset.source.train=a.csv"), tmp_path, []))


def test_the_hash_of_a_run_covers_the_files_of_a_pattern(tmp_path: Path) -> None:
    config = composed("dataset=text_files", f"dataset.source.train={tmp_path}/part-*.jsonl")
    hashes = []
    for texts in (["a"], ["a", "b"], ["a", "c"]):
        for number, text in enumerate(texts):
            (tmp_path / f"part-{number}.jsonl").write_text(json.dumps({"text": text, "label": "x"}))
        hashes.append(config_hash(config))
    assert len(set(hashes)) == 3
