"""Files that are not what they seem: each gets one sentence with the file, the line if there is one, and a remedy."""

import gzip
import json
import random
import sys
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow
from ftlab.data.sources.files import read
from ftlab.data.sources.formats import ReadOptions, read_file
from tests.data.making import build, dataset, jsonl, reviews
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

ROWS = reviews(200)


def _read(path: Path | str, **settings: Any) -> None:
    """Read a file to its end or its first bad row."""
    for row in read(str(path), **settings)["train"]:
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.message}.")


def _refused(path: Path | str, *culprits: object, **settings: Any) -> str:
    """Require that a file is refused in one sentence that names these; return it."""
    with refused(DataError, *culprits) as caught:
        _read(path, **settings)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def _table(path: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


def _zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "text,label\n")
    return path


def _cut(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw[: len(raw) // 2])
    return path


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.txt.gz", "a.json.gz", "a.tsv.gz"])
def test_a_gzip_that_is_cut_off(tmp_path: Path, name: str) -> None:
    noise = random.Random(0).randbytes(20_000).hex()
    _refused(_cut(tmp_path / name, gzip.compress(noise.encode())), name, "end-of-stream")


def test_a_gzip_that_is_damaged(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(json.dumps(ROWS).encode()))
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "a.json.gz").write_bytes(bytes(raw))
    _refused(tmp_path / "a.json.gz", "a.json.gz", "CRC check failed")


def test_gzip_is_known_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"text,label\nfine,good\n"))
    assert [row.where for row in read(str(path))["train"]] == ["a.csv:2"]
    named = tmp_path / "b.csv.gz"
    named.write_bytes(b"text,label\nfine,good\n")
    _refused(named, "b.csv.gz", "gzip")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_parquet_file_that_is_cut_off(tmp_path: Path, share: float) -> None:
    raw = _table(tmp_path / "whole.parquet").read_bytes()
    path = tmp_path / "a.parquet"
    path.write_bytes(raw[: int(len(raw) * share)])
    _refused(path, "a.parquet", "Parquet")


def test_json_that_is_cut_off_says_where(tmp_path: Path) -> None:
    path = _cut(tmp_path / "a.json", json.dumps(ROWS, indent=1).encode())
    line = path.read_text().rstrip("\n").count("\n") + 1
    sentence = _refused(path, "a.json:", "JSON")
    assert abs(int(sentence.split("a.json:")[1].split(":")[0]) - line) <= 1
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a", "label": "b"}\n{"text": "a", "la')
    _refused(lines, "a.jsonl:2", "JSON")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz", "train"])
def test_a_zip_in_disguise(tmp_path: Path, name: str) -> None:
    told = {} if "." in name else {"format": "csv"}
    _refused(_zip(tmp_path / name), name, "zip", "Excel", "Word", **told)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\x28\xb5\x2f\xfd00", "zstd"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "a.csv").write_bytes(start + b"\n" * 20)
    _refused(tmp_path / "a.csv", "a.csv", what)


def test_a_format_that_is_not_the_declared_one(tmp_path: Path) -> None:
    _refused(_table(tmp_path / "a.csv"), "a.csv", ".parquet", "dataset.source.format=parquet")
    page = tmp_path / "page.json"
    page.write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    _refused(page, "page.json", "web page", "XML")
    table = tmp_path / "table.json"
    table.write_text("text,label\nfine,good\n")
    _refused(table, "table.json:1", "JSON")
    for name in ("list.csv", "list.tsv"):
        (tmp_path / name).write_text(json.dumps(ROWS))
        _refused(tmp_path / name, f"{name}:1", "dataset.source.format=jsonl or json")
    lines = tmp_path / "lines.parquet"
    jsonl(lines, ROWS)
    _refused(lines, "lines.parquet", "Parquet")
    number = tmp_path / "number.json"
    number.write_text("17")
    _refused(number, "number.json:1", "rows")


@pytest.mark.parametrize(
    ("header", "culprit"),
    [
        ("text,label,text", "'text'"),
        ("text,,", "name"),
        ("text;label", "'dataset.source.separator=\";\"'"),
        ("text\tlabel", "'dataset.source.separator=\"\\t\"'"),
    ],
)
def test_a_header_that_cannot_be_right(tmp_path: Path, header: str, culprit: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\nfine,good,x\n")
    _refused(tmp_path / "a.csv", "a.csv:1", culprit)


def test_duplicate_columns_of_parquet(tmp_path: Path) -> None:
    table = pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    _refused(tmp_path / "a.parquet", "a.parquet", "'text'")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz"])
def test_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    _refused(tmp_path / name, name, "rows")
    if not name.endswith((".parquet", ".gz")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf")  # a byte-order mark and nothing else
        _refused(tmp_path / name, name, "rows")


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "a.parquet")
    _refused(tmp_path / "a.parquet", "a.parquet", "rows")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.json"])
def test_a_nul_byte_is_found_with_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"text\nfine\n\x00\x00\x00\n")
    _refused(tmp_path / name, f"{name}:3", "NUL")


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\rfine,good\r")
    _refused(tmp_path / "a.csv", "a.csv", "carriage return")


def test_utf16_that_is_cut_within_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text\nfine\n".encode("utf-16")[:-1])
    _refused(tmp_path / "a.csv", "a.csv:3", "utf-16", "dataset.source.encoding")


def test_folders_for_files_and_files_for_folders(tmp_path: Path) -> None:
    _refused(tmp_path / "none.csv", "none.csv", "exist", Path.cwd())
    _refused(tmp_path / "none", str(tmp_path / "none"), "exist")
    (tmp_path / "folder.csv").mkdir()
    _refused(tmp_path / "folder.csv", "folder.csv", "empty folder")
    _refused(tmp_path / "folder.csv", "folder.csv", "folder, ", "file", format="csv")
    (tmp_path / "classes").write_text("fine\n")
    _refused(tmp_path / "classes", "classes", "dataset.source.format")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.txt", "a.tsv"])
def test_a_line_of_10_mb_is_read_in_large_pieces(tmp_path: Path, name: str) -> None:
    text = "word " * 2_000_000
    content = {"a.csv": f'text,label\n"{text}",x\n', "a.tsv": f"text\tlabel\n{text}\tx\n", "a.txt": f"{text}\n"}
    (tmp_path / name).write_text(content.get(name, json.dumps({"text": text, "label": "x"})))
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event.endswith("call")

    sys.setprofile(count)
    try:
        (row,) = read_file(tmp_path / name, ReadOptions())
    finally:
        sys.setprofile(None)
    assert 0 < calls < len(text) / 1000  # not one for each character or word
    assert not isinstance(row, BadRow)
    assert row.values["text"] == text


def test_an_open_quote_does_not_swallow_a_large_file_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\nfine,good\n"open,bad\n' + "fine,good\n" * 100_000)
    _refused(tmp_path / "a.csv", "a.csv:3", "dataset.source.quotes=false")


BAD = [
    ('{"text": "fine"', "no JSON", ("JSON",)),
    ("[1, 2]", "no object", ("object",)),
    ('{"text": "fine", "label": NaN}', "incomplete", ("'label'", "NaN")),
    ('{"text": "fine", "label": null}', "incomplete", ("'label'", "empty")),
    ('{"text": "fine", "label": {"a": 1}}', "no text", ("'label'", "object")),
    ('{"text": [["fine"]], "label": 1}', "no text", ("'text'", "list")),
    ('{"text": "\\ud83d", "label": 1}', "no text", ("'text'", "surrogate")),
    ('{"txet": "fine", "label": 1}', "incomplete", ("'text'", "empty")),
]


@pytest.mark.parametrize(("line", "reason", "culprits"), BAD)
def test_a_bad_row_stops_or_is_counted(tmp_path: Path, line: str, reason: str, culprits: tuple[str, ...]) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [json.dumps(row) for row in ROWS]
    path.write_text("\n".join([*lines[:7], line, *lines[7:]]))
    with refused(DataError, "mixed.jsonl:8", "dataset.on_bad_rows=skip", *culprits):
        build(dataset("classification", {"train": str(path)}))
    data = build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    assert data.dropped == {reason: 1}
    assert sum(data.rows.values()) == len(ROWS)
    states(data.warnings[0], 1, "mixed.jsonl:8: ")


def test_bad_lines_of_a_table_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    good = [f"{row['text']},{row['label']}" for row in ROWS]
    path.write_text("\n".join(["text,label", *good[:9], "a,b,c", "alone", ",bad", *["x,y,z"] * 3, *good[9:]]))
    data = build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    assert data.dropped == {"wrong number of fields": 5, "incomplete": 1}
    (warning,) = data.warnings
    states(warning, 6, "a.csv:11: 3 ", 2, "(text, label)", "a.csv:12", "…")


def test_a_file_that_is_wholly_wrong_is_an_error_even_then(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("not json\n" * 9)
    with refused(DataError, "train", "no JSON: 9", "dataset.columns"):
        build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    with refused(DataError, "a.jsonl:1", "JSON"):
        build(dataset("classification", {"train": str(path)}))
