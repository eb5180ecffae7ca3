"""Tables: quotes that swallow rows, header lines that are rows, and what looks like another format."""

import zipfile
from pathlib import Path

import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.files import read
from tests.data.making import build, dataset
from tests.fixtures.refusals import refused

ROWS = [f"text {n},label {n % 2}" for n in range(8)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stray_quote_that_swallows_rows_is_a_bad_row(tmp_path: Path, end: str) -> None:
    lines = ["text,label", '"a stray one,label 1', *ROWS, 'the last",label 0', "after,label 1"]
    (tmp_path / "a.csv").write_bytes(end.join(lines).encode())
    bad, row = read(str(tmp_path / "a.csv"))["train"]
    assert isinstance(bad, BadRow)
    assert bad.where == "a.csv:2"
    assert all(part in bad.message for part in ("8", "dataset.source.quotes=false", "dataset.source.quotes=true"))
    assert isinstance(row, Row)
    assert row.where == "a.csv:12"
    whole, _ = read(str(tmp_path / "a.csv"), quotes=True)["train"]
    assert isinstance(whole, Row)
    literal = list(read(str(tmp_path / "a.csv"), quotes=False)["train"])
    assert len([line for line in literal if isinstance(line, Row)]) == 11


SHORT = [
    (["text,label", *ROWS, '"a stray one,label 1', 'the last",label 0'], 10, 2),
    (["text,label", '"a stray one,label 1', "swallowed,label 0", 'the last",label 0', *ROWS], 2, 3),
    (["label,text", "a,one", "b,two", 'a,"a stray, one', "b,swallowed", 'b,the last"', "a,more"], 4, 0),
    (["label,text", "a,one", "b,two", 'a,"a stray one', 'b,the last"', "a,more"], 4, 2),
    (["id,text,label", "1,one,a", "2,two,b", '3,"stray,a', "4,swallowed,b", "5,swallowed,b", '6,last",a'], 4, 4),
]


@pytest.mark.parametrize(("lines", "line", "swallowed"), SHORT)
def test_a_stray_quote_that_swallows_a_row_or_two(tmp_path: Path, lines: list[str], line: int, swallowed: int) -> None:
    (tmp_path / "a.csv").write_text("\n".join(lines))
    bad = [row for row in read(str(tmp_path / "a.csv"))["train"] if isinstance(row, BadRow)]
    assert [row.where for row in bad] == ([f"a.csv:{line}"] if swallowed else [])
    assert all(f" {swallowed} lines" in row.message for row in bad)
    assert all(isinstance(row, Row) for row in read(str(tmp_path / "a.csv"), quotes=True)["train"])


@pytest.mark.parametrize(
    "text", ["two\nlines", "Dear Sir,\nthanks", "one, two\nthree, four\nfive", "a,b\nc", "one\ntwo\nthree", "1,000\n"]
)
def test_a_text_of_a_few_lines_is_a_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(f'text,label\na,good\nb,bad\n"{text}",good\n')
    assert [row.values["text"] for row in read(str(tmp_path / "a.csv"))["train"] if isinstance(row, Row)][2] == text
    (tmp_path / "b.csv").write_text(f'text\na\n"{text}"\n')
    assert [row.values["text"] for row in read(str(tmp_path / "b.csv"))["train"] if isinstance(row, Row)][1] == text


def test_a_document_over_many_lines_is_a_text(tmp_path: Path) -> None:
    poem = "\n".join(f"line {n} of it" + "," * (n % 3) for n in range(40))
    (tmp_path / "a.csv").write_text(f'text,label\n"{poem}",good\n"{poem}",bad\n')
    assert [row.values["text"] for row in read(str(tmp_path / "a.csv"))["train"] if isinstance(row, Row)] == [poem] * 2


def test_a_quote_that_is_not_closed_names_the_line_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *ROWS, '"open,label 1', *ROWS]))
    with refused(DataError, "a.csv:10", "dataset.source.quotes=false"):
        list(read(str(tmp_path / "a.csv"))["train"])


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["a fine film with a plot,good", "dull and long,bad", "quite fine,good"], "[text,label]"),
        (["good,fine", "good,dull and long", "bad,never again"], "[label,text]"),
        (["1,so good that I cried", "0,bad"], "[label,text]"),
        (["7,good,a", "8,bad,b", "9,good,c"], "[column1,column2,column3]"),
    ],
)
def test_a_header_that_is_a_row_is_said(tmp_path: Path, lines: list[str], names: str) -> None:
    (tmp_path / "a.csv").write_text("\n".join(lines))
    source = {"train": str(tmp_path / "a.csv")}
    with refused(DataError, "a.csv", f"dataset.source.names={names}"):
        build(dataset("classification", source, columns={"text": None, "label": None}))


def test_other_names_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("first,second\na,b\nc,d\n")
    with refused(DataError, "first, second") as caught:
        build(dataset("classification", {"train": str(tmp_path / "a.csv")}, columns={"text": None, "label": None}))
    assert "dataset.source.names" not in str(caught.value)


def test_a_workbook_is_said_to_be_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    for format in (None, "csv"):
        with refused(DataError, "a.xlsx", "Excel", "csv"):
            list(read(str(tmp_path / "a.xlsx"), format=format)["train"])


def test_if_no_row_can_be_used_the_first_is_named_with_its_value(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;score\n" + "".join(f"text {n};{n},5\n" for n in range(9)))
    source = {"train": str(tmp_path / "a.csv"), "separator": ";"}
    for on_bad_rows in ("skip", "error"):
        with refused(DataError, "a.csv:2", "'0,5'", "decimal comma"):
            build(dataset("regression", source, on_bad_rows=on_bad_rows))


def test_if_the_columns_are_unknown_too_the_first_bad_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "one,two,three\n" * 9)
    for on_bad_rows in ("skip", "error"):
        with refused(DataError, "a.csv:2", "text, label"):
            columns = {"text": None, "label": None}
            build(
                dataset("classification", {"train": str(tmp_path / "a.csv")}, columns=columns, on_bad_rows=on_bad_rows)
            )
