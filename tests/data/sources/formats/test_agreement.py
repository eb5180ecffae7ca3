"""The same rows are the same in every format, whatever is in them."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow
from ftlab.data.sources.formats import ReadOptions, read_file

Rows = list[dict[str, str]]

# Any text but what a table cannot hold: half characters, NUL, and a lone carriage return, which ends a line of csv.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=20)
_ROWS = st.lists(st.fixed_dictionaries({"text": _TEXT, "label": _TEXT}), min_size=1, max_size=5)
_AWKWARD = [
    {"text": 'He said "no",\n twice\n', "label": " spaced "},
    {"text": "两行\n文字\u2028\x85", "label": '"'},
    {"text": "tab\there; and | there", "label": ""},
    {"text": "", "label": "\ufeff"},
]


def _table(rows: Rows, delimiter: str, ends: str) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, ["text", "label"], delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def _parquet(rows: Rows) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), stream)
    return stream.getvalue()


def _lines(rows: Rows, *, ascii: bool) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=ascii) for row in rows).encode()


WRITERS: dict[str, tuple[Callable[[Rows], bytes], ReadOptions]] = {
    "a.csv": (lambda rows: _table(rows, ",", "\n"), ReadOptions()),
    "windows.csv": (lambda rows: b"\xef\xbb\xbf" + _table(rows, ",", "\r\n"), ReadOptions()),
    "semicolon.csv": (lambda rows: _table(rows, ";", "\n"), ReadOptions(separator=";")),
    "utf16.csv": (lambda rows: _table(rows, ",", "\n").decode().encode("utf-16"), ReadOptions()),
    "gb18030.csv": (lambda rows: _table(rows, ",", "\n").decode().encode("gb18030"), ReadOptions(encoding="gb18030")),
    "a.tsv": (lambda rows: _table(rows, "\t", "\n"), ReadOptions(quotes=True)),
    "packed.csv.gz": (lambda rows: gzip.compress(_table(rows, ",", "\n"), 1), ReadOptions()),
    "a.json": (lambda rows: json.dumps(rows).encode(), ReadOptions()),
    "indented.json": (lambda rows: json.dumps(rows, indent=2, ensure_ascii=False).encode(), ReadOptions()),
    "under.json": (lambda rows: json.dumps({"data": {"rows": rows}}).encode(), ReadOptions(field="data.rows")),
    "lists.json": (
        lambda rows: json.dumps([[row["text"], row["label"]] for row in rows]).encode(),
        ReadOptions(names=["text", "label"]),
    ),
    "a.jsonl": (lambda rows: _lines(rows, ascii=False), ReadOptions()),
    "ascii.jsonl.gz": (lambda rows: gzip.compress(_lines(rows, ascii=True), 1), ReadOptions()),
    "a.parquet": (_parquet, ReadOptions()),
    "packed.parquet.gz": (lambda rows: gzip.compress(_parquet(rows), 1), ReadOptions()),
}


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS)
@example(rows=_AWKWARD)
def test_what_was_written_is_read(tmp_path: Path, name: str, rows: Rows) -> None:
    write, reading = WRITERS[name]
    (tmp_path / name).write_bytes(write(rows))
    found = list(read_file(tmp_path / name, reading))
    assert [row for row in found if isinstance(row, BadRow)] == []
    assert [dict(row.values) for row in found if not isinstance(row, BadRow)] == rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=60), name=st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.parquet"]))
@example(raw=b"\x1f\x8b", name="a.csv")
@example(raw=b"PAR1", name="a.parquet")
@example(raw=b"\xff\xfe", name="a.json")
@example(raw=b"[", name="a.json")
@example(raw=b"[{}", name="a.json")
@example(raw=b"[{},", name="a.json")
@example(raw=b"[]]", name="a.json")
@example(raw=b'{"a": [', name="a.json")
def test_any_bytes_are_rows_or_one_sentence(tmp_path: Path, raw: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(raw)
    try:
        list(read_file(tmp_path / name, ReadOptions()))
    except DataError as error:
        assert name in str(error)  # noqa: PT017  # that there is no other error is the point
