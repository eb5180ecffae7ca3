"""Files that are not what they seem: each gets one sentence with the file, the line if there is one, and a remedy."""

import gzip
import json
import random
import time
import zipfile
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from ftlab.data.files import read
from ftlab.data.formats import Reading, read_file
from ftlab.data.rows import BadRow
from ftlab.errors import DataError
from tests.data.making import build, dataset, jsonl, reviews

ROWS = reviews(200)


def _read(path: Path | str, **settings: Any) -> None:
    """Read a file to its end or its first bad row."""
    for row in read(str(path), **settings)["train"]:
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.message}.")


def _refused(path: Path | str, **settings: Any) -> str:
    """Return the sentence with which a file is refused."""
    with pytest.raises(DataError) as caught:
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
    sentence = _refused(_cut(tmp_path / name, gzip.compress(noise.encode())))
    assert f"{name} breaks off or is damaged" in sentence


def test_a_gzip_that_is_damaged(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(json.dumps(ROWS).encode()))
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "a.json.gz").write_bytes(bytes(raw))
    assert "a.json.gz breaks off or is damaged" in _refused(tmp_path / "a.json.gz")


def test_gzip_is_known_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"text,label\nfine,good\n"))
    assert [row.where for row in read(str(path))["train"]] == ["a.csv:2"]
    named = tmp_path / "b.csv.gz"
    named.write_bytes(b"text,label\nfine,good\n")
    assert "b.csv.gz is named .gz and gzip did not pack it: rename it" in _refused(named)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_parquet_file_that_is_cut_off(tmp_path: Path, share: float) -> None:
    raw = _table(tmp_path / "whole.parquet").read_bytes()
    path = tmp_path / "a.parquet"
    path.write_bytes(raw[: int(len(raw) * share)])
    assert "a.parquet is a Parquet file that is damaged or breaks off" in _refused(path)


def test_json_that_is_cut_off_says_where(tmp_path: Path) -> None:
    path = _cut(tmp_path / "a.json", json.dumps(ROWS, indent=1).encode())
    line = path.read_text().rstrip("\n").count("\n") + 1
    sentence = _refused(path)
    assert "the file breaks off here" in sentence
    assert abs(int(sentence.split("a.json:")[1].split(":")[0]) - line) <= 1
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a", "label": "b"}\n{"text": "a", "la')
    assert "a.jsonl:2: this is not valid JSON" in _refused(lines)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz", "train"])
def test_a_zip_in_disguise(tmp_path: Path, name: str) -> None:
    told = {} if "." in name else {"format": "csv"}
    assert f"{name} is a zip archive (or an Excel or Word file" in _refused(_zip(tmp_path / name), **told)


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"%PDF-1.7", "a PDF"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"\xfd7zXZ\x00", "an xz archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel or Word file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
        (b"\x28\xb5\x2f\xfd00", "a zstd archive"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "a.csv").write_bytes(start + b"\n" * 20)
    assert f"a.csv is {what}" in _refused(tmp_path / "a.csv")


def test_a_format_that_is_not_the_declared_one(tmp_path: Path) -> None:
    assert "a.csv is a Parquet file: name it .parquet" in _refused(_table(tmp_path / "a.csv"))
    page = tmp_path / "page.json"
    page.write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    assert "page.json is a web page or XML" in _refused(page)
    table = tmp_path / "table.json"
    table.write_text("text,label\nfine,good\n")
    assert "table.json:1: this is not valid JSON" in _refused(table)
    for name in ("list.csv", "list.tsv"):
        (tmp_path / name).write_text(json.dumps(ROWS))
        assert f"{name}:1: this is JSON and no table" in _refused(tmp_path / name)
    lines = tmp_path / "lines.parquet"
    jsonl(lines, ROWS)
    assert "lines.parquet is not a Parquet file" in _refused(lines)
    whole = tmp_path / "whole.jsonl"
    whole.write_text(json.dumps(ROWS, indent=1))
    assert "whole.jsonl:1: this is a JSON list and no object per line" in _refused(whole)
    one = tmp_path / "one.jsonl"
    one.write_text(json.dumps(ROWS))
    assert "one.jsonl:1: this is no JSON object" in _refused(one)
    number = tmp_path / "number.json"
    number.write_text("17")
    assert "number.json:1: this is one JSON value and holds no rows" in _refused(number)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("text,label,text", "a.csv:1: two columns have the name 'text'"),
        ("text,,", "a.csv:1: two columns have no name"),
        ("text;label", "the header is a single column with ';' in it: set dataset.source.separator=\";\""),
        ("text\tlabel", 'with a tab in it: set dataset.source.separator="\\t"'),
    ],
)
def test_a_header_that_cannot_be_right(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\nfine,good,x\n")
    assert message in _refused(tmp_path / "a.csv")


def test_duplicate_columns_of_parquet(tmp_path: Path) -> None:
    table = pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"])
    parquet.write_table(table, tmp_path / "a.parquet")
    assert "two columns have the name 'text'" in _refused(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.parquet", "a.csv.gz"])
def test_empty_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert f"{name} holds no rows" in _refused(tmp_path / name)
    if not name.endswith((".parquet", ".gz")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf")  # a byte-order mark and nothing else
        assert f"{name} holds no rows" in _refused(tmp_path / name)


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / "a.parquet")
    assert "a.parquet holds no rows" in _refused(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.json"])
def test_a_nul_byte_is_found_with_its_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"text\nfine\n\x00\x00\x00\n")
    assert f"{name}:3: this file holds a NUL byte" in _refused(tmp_path / name)


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\rfine,good\r")
    assert "ends its lines with a lone carriage return" in _refused(tmp_path / "a.csv")


def test_utf16_that_is_cut_within_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text\nfine\n".encode("utf-16")[:-1])
    assert "a.csv:3: this is not utf-16" in _refused(tmp_path / "a.csv")


def test_folders_for_files_and_files_for_folders(tmp_path: Path) -> None:
    assert "none.csv does not exist: give a path that starts in" in _refused(tmp_path / "none.csv")
    assert "none does not exist" in _refused(tmp_path / "none")
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv is an empty folder" in _refused(tmp_path / "folder.csv")
    assert "folder.csv is a folder, and a file is expected" in _refused(tmp_path / "folder.csv", format="csv")
    (tmp_path / "classes").write_text("fine\n")
    assert "classes is of no kind that can be told by its name" in _refused(tmp_path / "classes")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.txt", "a.tsv"])
def test_a_line_of_10_mb_is_read_and_soon(tmp_path: Path, name: str) -> None:
    text = "word " * 2_000_000
    content = {"a.csv": f'text,label\n"{text}",x\n', "a.tsv": f"text\tlabel\n{text}\tx\n", "a.txt": f"{text}\n"}
    (tmp_path / name).write_text(content.get(name, json.dumps({"text": text, "label": "x"})))
    start = time.monotonic()
    (row,) = read_file(tmp_path / name, Reading())
    assert time.monotonic() - start < 5
    assert not isinstance(row, BadRow)
    assert row.values["text"] == text


def test_an_open_quote_does_not_swallow_a_large_file_in_silence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\nfine,good\n"open,bad\n' + "fine,good\n" * 100_000)
    assert "a.csv:3: a quote is not closed" in _refused(tmp_path / "a.csv")


BAD = [
    ('{"text": "fine"', "no JSON", "mixed.jsonl:8: this is not valid JSON"),
    ("[1, 2]", "no object", "mixed.jsonl:8: this is no JSON object"),
    ('{"text": "fine", "label": NaN}', "incomplete", "mixed.jsonl:8: this row has no label (column 'label' holds NaN)"),
    ('{"text": "fine", "label": null}', "incomplete", "mixed.jsonl:8: this row has no label (column 'label' is empty)"),
    ('{"text": "fine", "label": {"a": 1}}', "no text", "mixed.jsonl:8: column 'label' holds an object where text is"),
    ('{"text": [["fine"]], "label": 1}', "no text", "mixed.jsonl:8: column 'text' holds a list where text is needed"),
    ('{"text": "\\ud83d", "label": 1}', "no text", "mixed.jsonl:8: column 'text' holds half of a surrogate pair"),
    ('{"txet": "fine", "label": 1}', "incomplete", "mixed.jsonl:8: this row has no text (column 'text' is empty)"),
]


@pytest.mark.parametrize(("line", "reason", "message"), BAD)
def test_a_bad_row_stops_or_is_counted(tmp_path: Path, line: str, reason: str, message: str) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [json.dumps(row) for row in ROWS]
    path.write_text("\n".join([*lines[:7], line, *lines[7:]]))
    with pytest.raises(DataError) as caught:
        build(dataset("classification", {"train": str(path)}))
    assert message in str(caught.value)
    assert str(caught.value).endswith("or set dataset.on_bad_rows=skip to leave such rows out.")
    data = build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    assert data.dropped == {reason: 1}
    assert sum(data.rows.values()) == len(ROWS)
    assert data.warnings[0].startswith("1 bad rows were left out: mixed.jsonl:8: ")


def test_bad_lines_of_a_table_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    good = [f"{row['text']},{row['label']}" for row in ROWS]
    path.write_text("\n".join(["text,label", *good[:9], "a,b,c", "alone", ",bad", *["x,y,z"] * 3, *good[9:]]))
    data = build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    assert data.dropped == {"wrong number of fields": 5, "incomplete": 1}
    (warning,) = data.warnings
    assert warning.startswith(
        "6 bad rows were left out: a.csv:11: 3 fields where 2 are expected (text, label); a.csv:12"
    )
    assert warning.endswith("; …")


def test_a_file_that_is_wholly_wrong_is_an_error_even_then(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("not json\n" * 9)
    with pytest.raises(DataError, match=r"no train row can be used \(no JSON: 9\): check dataset\.columns"):
        build(dataset("classification", {"train": str(path)}, on_bad_rows="skip"))
    with pytest.raises(DataError, match=r"a\.jsonl:1: this is not valid JSON"):
        build(dataset("classification", {"train": str(path)}))
