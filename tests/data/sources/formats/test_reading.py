import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources import formats
from ftlab.data.sources.formats import ReadOptions
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

ROWS = [{"text": 'He said "no", twice', "label": "bad"}, {"text": "两行\n文字", "label": "good"}]
CSV = 'text,label\n"He said ""no"", twice",bad\n"两行\n文字",good\n'


def read_file(path: Path, **settings: Any) -> list[Row]:
    """Return the rows of a file; a bad one is an error."""
    rows = []
    for row in formats.read_file(path, ReadOptions(**settings)):
        if isinstance(row, BadRow):
            raise DataError(f"{row.where}: {row.message}.")
        rows.append(row)
    return rows


def _write(path: Path, content: str | bytes) -> Path:
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def _parquet(path: Path) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.CSV", CSV.replace("\n", "\r\n").replace("两行\r\n", "两行\n")),
        ("a.csv.gz", CSV),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("utf16.csv", CSV.encode("utf-16")),
        ("a.json", json.dumps(ROWS, indent=2)),
        ("lines.json", "\n".join(json.dumps(row) for row in ROWS)),
        ("a.jsonl", "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n"),
        ("a.jsonl.gz", "\n".join(json.dumps(row) for row in ROWS)),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert [dict(row.values) for row in read_file(_write(tmp_path / name, content))] == ROWS


def test_parquet(tmp_path: Path) -> None:
    rows = read_file(_parquet(tmp_path / "a.parquet"))
    assert [dict(row.values) for row in rows] == ROWS
    assert rows[1].where == "a.parquet, row 2"


def test_tsv_takes_quotes_literally_unless_told(tmp_path: Path) -> None:
    plain = _write(tmp_path / "a.tsv", 'text\tlabel\n"an open quote\tbad\n')
    assert read_file(plain)[0].values["text"] == '"an open quote'
    quoted = _write(tmp_path / "b.tsv", 'text\tlabel\n"two\nlines"\tbad\n')
    assert read_file(quoted, quotes=True)[0].values["text"] == "two\nlines"
    with refused(DataError, "b.tsv:2: 1 ", "2 ", "quotes=true"):
        read_file(quoted)


def test_names_for_files_without_a_header(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tsv", "ham\tsee you\nspam\twin now\n")
    assert [dict(row.values) for row in read_file(path, names=["label", "text"])] == [
        {"label": "ham", "text": "see you"},
        {"label": "spam", "text": "win now"},
    ]


def test_lines_are_right_after_blank_lines_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", 'text,label\n\n"one\ntwo\nthree",good\nfour,bad\n')
    assert [row.where for row in read_file(path)] == ["a.csv:3", "a.csv:6"]


def test_long_fields(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", f"text,label\n{'word ' * 100_000},good\n")
    assert len(read_file(path)[0].values["text"]) == 500_000


def test_documents_of_a_text_file_are_what_blank_lines_part(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.txt", "\n\nOnce\r\nupon a time\n \n\nThe end\n")
    assert [(row.values["text"], row.where) for row in read_file(path)] == [
        ("Once\nupon a time", "a.txt:3"),
        ("The end", "a.txt:7"),
    ]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Été à la plage, très agréable", "latin-1"),
        ("it\u2019s “good” stuff that I\u2019d buy again", "cp1252"),
    ],
)
def test_western_text_that_is_not_utf8_is_read_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, encoding: str
) -> None:
    path = _write(tmp_path / "a.jsonl", (json.dumps({"text": text}, ensure_ascii=False) + "\n").encode(encoding) * 20)
    assert read_file(path)[0].values["text"] == text
    states(caplog.text, "a.jsonl", "UTF-8", "line 1", "cp1252", "dataset.source.encoding")


def test_other_text_that_is_not_utf8_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.csv", ("评论\n" + "很快，好吃，味道足，量大。没有送水，非常快。\n" * 5).encode("gb18030")
    )
    with refused(DataError, "a.csv:1", "UTF-8", "gb18030", "dataset.source.encoding"):
        read_file(path)
    assert read_file(path, encoding="gb18030")[0].values["评论"].startswith("很快")


@pytest.mark.parametrize(
    ("name", "content", "settings", "culprits"),
    [
        ("a.csv", "", {}, ("a.csv ", "rows")),
        ("a.csv", "text,label\n", {}, ("a.csv ", "rows")),
        ("a.jsonl", "\n", {}, ("a.jsonl ", "rows")),
        ("a.json", "[]", {}, ("a.json ", "rows")),
        ("a.txt", "\n", {}, ("a.txt ", "rows")),
        ("a.csv", "text,label\nfine,good\nno label\n", {}, ("a.csv:3: 1 ", "2 ", "(text, label)")),
        ("a.csv", "text,label\na,b,c\n", {}, ("a.csv:2: 3 ", "double quotes")),
        ("a.csv", 'text,label\nfine,good\n"open,bad\nmore,bad\n', {}, ("a.csv:3", "dataset.source.quotes=false")),
        ("a.jsonl", '{"a": 1}\n{"a": \n', {}, ("a.jsonl:2", "JSON", "Expecting value")),
        ("a.jsonl", '{"a": 1}\n[1]\n', {}, ("a.jsonl:2", "object")),
        ("a.json", '[{"a": 1},\n {"a" 2}]', {}, ("a.json:2", "JSON", "Expecting ':'")),
        ("a.json", '[{"a": 1}, 2]', {}, ("a.json:1, item 2", "object")),
        ("a.json", '{\n"train": [{}], "test": [{}]}', {}, ("a.json ", "train", "dataset.source.fields")),
        ("deep.json", "[" * 100_000, {}, ("deep.json:1", "JSON", "nested")),
        ("a.parquet", "no parquet", {}, ("a.parquet ", "Parquet")),
        ("a.xlsx", "", {}, ("a.xlsx ", ".csv")),
        ("a.csv", b"text\n\xff\xfe caf\xe9\n", {"encoding": "utf-8"}, ("a.csv:2", "utf-8")),
        ("a.csv", "text\na\n", {"encoding": "utf-99"}, ("dataset.source.encoding=utf-99",)),
    ],
)
def test_broken_files_get_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, settings: dict[str, str], culprits: tuple[str, ...]
) -> None:
    path = _write(tmp_path / name, content)
    with refused(DataError, *culprits) as caught:
        read_file(path, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.slow  # imports torch in a process of its own
def test_reading_files_needs_no_hub_library() -> None:
    script = "import sys, ftlab.data.sources.files; print('datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
