"""Large data lies on disk, and nothing that comes of it tells."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError, UserError
from ftlab.data.base import DataModule
from ftlab.data.rows import arrow_cache, row_store
from ftlab.data.rows.row import Row
from ftlab.data.rows.row_store import StoredRows, collect_rows, select_rows, with_transform
from ftlab.data.sources import reading
from tests.data.encoding.test_token_cache import ROWS, Tokenizers, of
from tests.data.making import budget, build, dataset, jsonl
from tests.fixtures.refusals import refused


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(row_store, "_BATCH_ROWS", 7)  # many batches
    return tmp_path / "cache" / "rows"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever there is, is large."""
    monkeypatch.setattr(row_store, "MAX_IN_MEMORY", 1)
    monkeypatch.setattr(reading, "MAX_IN_MEMORY", 1)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def told(data: DataModule, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """All that a run makes of its data."""
    splits = {split: list(rows) for split, rows in data.splits.items()}
    data.tokenize(tokenizer)
    return {
        "splits": splits,
        "hash": data.hash,
        "task": data.task,
        "rows": data.rows,
        "dropped": data.dropped,
        "warnings": data.warnings,
        "ids": {split: data.example_ids(split) for split in splits},
        "tests": [{name: part.tolist() for name, part in batch.items()} for batch in data.test_dataloader()],
    }


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("kept", ["for other runs", "for this one"])
def test_rows_on_disk_are_the_rows_in_memory(
    task: str, kept: str, tmp_path: Path, tokenizers: Tokenizers, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*ROWS[task], *ROWS[task][:3], {}]  # some twice, and a bad one
    source = {"train": jsonl(tmp_path / "rows.jsonl", rows)}
    config = dataset(task, source, on_bad_rows="skip")
    settings = {"budget": budget(train_rows=60, test_rows=20)}
    expected = told(build(config, **settings), of(task, tokenizers))
    assert not folder.exists()
    monkeypatch.setattr(row_store, "MAX_IN_MEMORY", 1)
    monkeypatch.setattr(reading, "MAX_IN_MEMORY", 1 if kept == "for other runs" else 2**40)
    for read_before in (False, True):
        data = build(config, **settings)
        assert all(isinstance(rows, StoredRows) for rows in data.splits.values())
        assert ("cache" in "".join(data.origin.notes)) == (read_before and kept == "for other runs")
        assert told(data, of(task, tokenizers)) == expected
    assert len(entries(folder)) == (1 if kept == "for other runs" else 0)


@pytest.mark.usefixtures("small")
def test_a_second_run_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataset("text", {"train": jsonl(tmp_path / "a.jsonl", ROWS["text"])})
    first = build(config)
    monkeypatch.setattr(reading, "read_source", None)
    again = build(config.model_copy(update={"max_length": 32, "split_seed": 1}))
    assert sum(again.rows.values()) == sum(first.rows.values()) == 150
    assert again.hash != first.hash


@pytest.mark.usefixtures("small")
def test_remarks_on_the_rows_are_kept_with_them(tmp_path: Path) -> None:
    rows = [{"text": f"Annabel {n}", "label": [[0, 6, "PER"]]} for n in range(40)]
    config = dataset("token_classification", {"train": jsonl(tmp_path / "a.jsonl", rows)})
    first, again = build(config), build(config)
    assert "inside a word" in first.warnings[0]
    assert again.warnings == first.warnings
    assert {*first.origin.notes} < {*again.origin.notes}


@pytest.mark.usefixtures("small")
def test_other_files_columns_and_rules_are_other_rows(tmp_path: Path, folder: Path) -> None:
    rows = [{**row, "other": row["text"] * 2} for row in ROWS["text"]]
    source = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    for number, other in enumerate(
        [{}, {"columns": {"text": "other"}}, {"on_bad_rows": "skip"}, {"task": "masked_lm"}], 1
    ):
        config = dataset("text", source)
        build(config.model_copy(update=other))
        assert len(entries(folder)) == number
    path = tmp_path / "a.jsonl"
    status = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace("market", "bazaar"), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert "bazaar" in build(dataset("text", source)).splits["train"][0].values["text"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("harm", ["cut", "gone", "bad_meta"])
def test_a_broken_entry_is_made_again(harm: str, tmp_path: Path, folder: Path) -> None:
    config = dataset("text", {"train": jsonl(tmp_path / "a.jsonl", ROWS["text"])})
    expected = build(config).hash
    (entry,) = entries(folder)
    file = entry / "train.arrow"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-50])
    elif harm == "gone":
        file.unlink()
    else:
        (entry / "meta.json").write_text("{}")
    again = build(config)
    assert (again.hash, again.origin.notes) == (expected, [])
    assert build(config).origin.notes


@pytest.mark.usefixtures("small")
def test_a_bad_row_leaves_nothing_behind(tmp_path: Path, folder: Path) -> None:
    config = dataset("text", {"train": jsonl(tmp_path / "a.jsonl", [*ROWS["text"], {"text": ""}])})
    for _ in range(2):
        with refused(DataError, "a.jsonl:151", "'text'"):
            build(config)
    assert entries(folder) == []


@pytest.mark.usefixtures("small")
def test_without_a_cache_rows_are_this_runs_own(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_TOKEN_CACHE_GB", "0")
    data = build(dataset("text", {"train": jsonl(tmp_path / "a.jsonl", ROWS["text"])}))
    assert isinstance(data.splits["train"], StoredRows)
    assert entries(folder) == []


@pytest.mark.usefixtures("small")
def test_what_was_not_used_for_longest_makes_room(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTLAB_TOKEN_CACHE_GB", "1e-9")
    for name in "ab":
        data = build(dataset("text", {"train": jsonl(tmp_path / f"{name}.jsonl", ROWS["text"])}))
    assert len(entries(folder)) == 1
    assert len(list(data.splits["train"])) == data.rows["train"]


@pytest.mark.usefixtures("small")
def test_rows_of_a_stream_go_to_disk(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of the hub's library, of a file here: no hub can be reached by tests."""
    path = jsonl(tmp_path / "a.jsonl", ROWS["classification"])
    stream = datasets.load_dataset("json", data_files=path, split="train", streaming=True)
    assert isinstance(stream, datasets.IterableDataset)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: stream)
    monkeypatch.setattr("ftlab.data.sources.hub._reachable", lambda: False)
    source = {"_target_": "ftlab.data.sources.hub.load", "id": "some/reviews", "streaming": True, "rows": 120}
    data = build(dataset("classification", source))
    assert all(isinstance(rows, StoredRows) for rows in data.splits.values())
    assert sum(data.rows.values()) == 120
    assert data.splits["train"][0].where.startswith("some/reviews[train], row ")
    assert entries(folder) == []


values = st.fixed_dictionaries({"text": st.text(), "tokens": st.lists(st.text(), max_size=3)})


@settings(deadline=None, max_examples=30)  # it writes files
@given(st.lists(values, min_size=1, max_size=40), st.data())
def test_a_stored_row_is_the_row(found: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = [Row(one, f"file{number}\udcff:1") for number, one in enumerate(found)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_store, "MAX_IN_MEMORY", 0)
        kept = collect_rows(iter(rows))
    assert isinstance(kept, StoredRows)
    assert list(kept) == rows
    assert kept[-1] == rows[-1]
    assert kept[:2] == rows[:2]
    with pytest.raises(IndexError):
        kept[len(rows)]
    number = st.integers(0, len(rows) - 1)
    places = np.array(data.draw(st.lists(number, min_size=1)), "int64")
    some = select_rows(select_rows(kept, places), np.arange(len(places))[::-1])
    assert list(some) == [rows[place] for place in places[::-1]]

    def shorter(row: Row) -> Row:
        return Row({**row.values, "text": row.values["text"][1:]}, row.where)

    assert list(with_transform(with_transform(some, shorter), shorter)) == [shorter(shorter(row)) for row in some]


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(rows: Iterator[Row], path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(row_store, "MAX_IN_MEMORY", 0)
    monkeypatch.setattr(row_store, "write_rows", full)
    with refused(UserError, "No space left on device", "cache", "FTLAB_CACHE"):
        collect_rows([Row({"text": "a"}, "a:1")])


def test_what_a_killed_reader_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(row_store, "MAX_IN_MEMORY", 0)
    killed = tmp_path / row_store.ROWS_FOLDER / f".partial-{socket.gethostname()}-abcd"
    killed.mkdir(parents=True)
    (killed / "rows.arrow").write_bytes(b"half")
    os.utime(killed, (time.time() - 3600,) * 2)
    rows = [Row({"text": "a"}, "a:1")]
    assert list(collect_rows(iter(rows))) == rows
    assert list(killed.parent.iterdir()) == [], "also not what was read now: it is open, and has no name"


def test_meta_says_what_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(b"1234")
    arrow_cache.write_metadata(tmp_path, {"more": 1})
    assert (
        arrow_cache.read_metadata(tmp_path)
        == {"more": 1, "files": ["a.arrow"]}
        == json.loads((tmp_path / "meta.json").read_text())
    )
