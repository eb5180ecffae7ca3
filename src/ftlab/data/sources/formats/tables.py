"""Table readers: csv and tsv files, and lines of a label and a text."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.text_io import numbered_lines, open_text

_FEWEST_SWALLOWED, _SWALLOWED_SHARE = 3, 0.9  # lines in a quoted field that look like rows, and their share of it
_SAMPLE_ROWS = 1000  # at the start of a table, whose values tell swallowed rows from a text of a few lines
_LONGEST_FIELD = 2**31 - 1  # the default limit of csv, 128 KiB, is shorter than some documents


def read_table(
    path: Path,
    *,
    encoding: str | None,
    separator: str,
    names: Sequence[str] | None,
    quotes: bool,
    check_quotes: bool = False,
) -> Iterator[Row | BadRow]:
    """Yield the rows of a csv or tsv file.

    Args:
        path: the file.
        encoding: see `text_io.open_text`.
        separator: between two fields.
        names: of the columns; None: the first line has them.
        quotes: whether "…" encloses a field, which may then hold separators and line breaks.
        check_quotes: whether a quoted field over several lines that look like rows is a bad row: a stray quote at the
            start of a field swallows the rows up to the next one.

    Raises:
        DataError: the header is wrong, or a quote is not closed.
    """
    separator = _unescaped(separator)
    if len(separator) != 1:
        raise DataError(f"dataset.source.separator={separator!r} is not valid: tables need a single character.")
    csv.field_size_limit(_LONGEST_FIELD)
    header = list(names) if names else None
    sample: list[list[str]] = []
    line = 1  # first line of the current row: a quoted field may span lines
    with open_text(path, encoding) as text:
        reader = csv.reader(
            text, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE, strict=True
        )
        try:
            for fields in reader:
                if not fields:
                    pass  # a blank line
                elif header is None:
                    header = _header(fields, f"{path}:{line}", separator)
                elif check_quotes and (swallowed := _swallowed_rows(fields, len(header), separator, sample)):
                    yield BadRow(f"{path.name}:{line}", "stray quote", _stray_quote(swallowed))
                elif len(fields) != len(header):
                    yield BadRow(f"{path.name}:{line}", "wrong number of fields", _wrong_number(fields, header, quotes))
                else:
                    if len(sample) < _SAMPLE_ROWS:
                        sample.append(fields)
                    yield Row(dict(zip(header, fields, strict=True)), f"{path.name}:{line}")
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{path}:{line}: a quote is not closed or doubled ({reason(error)}): fix it, or try "
                "dataset.source.quotes=false."
            ) from None


def read_labelled(
    path: Path, *, encoding: str | None, separator: str | None, names: Sequence[str] | None
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file whose lines are a label, a separator and a text: `NUM:dist How far is it ?`.

    Args:
        path: the file.
        encoding: see `text_io.open_text`.
        separator: characters, any of which separates two columns; None: white space.
        names: of the columns; the last one takes the rest of the line; None: label, text.
    """
    names = names or ("label", "text")
    pattern = re.compile(rf"[{re.escape(_unescaped(separator))}]+" if separator else r"\s+")
    for number, line in numbered_lines(path, encoding):
        if line.strip():
            where, fields = f"{path.name}:{number}", pattern.split(line.strip(), len(names) - 1)
            if len(fields) == len(names) and all(fields):
                yield Row({name: field.strip() for name, field in zip(names, fields, strict=True)}, where)
            else:
                problem = f"this line has {len(fields)} parts where {len(names)} are expected ({', '.join(names)})"
                yield BadRow(where, "wrong number of fields", f"{problem}: fix it")


def _header(fields: Sequence[str], where: str, separator: str) -> list[str]:
    """Return the names of the columns; raise if these cannot be names."""
    header = [name.strip() for name in fields]
    if header[0].startswith(('{"', "[{", "[")):
        raise DataError(f"{where}: this is JSON, not a table: set dataset.source.format=jsonl or json.")
    if len(header) == 1:
        for other in {";", "\t", "|", ","} - {separator}:
            if other in header[0]:
                raise DataError(
                    f"{where}: the header is a single column with {_shown(other)} in it: set {_typed(other)}."
                )
    duplicate = next((name for name in header if header.count(name) > 1), None)
    if duplicate is not None:
        shown = f"the name {duplicate!r}" if duplicate else "no name"
        raise DataError(
            f"{where}: two columns have {shown}: rename one, or leave the header out and set dataset.source.names."
        )
    return header


def _swallowed_rows(fields: Sequence[str], width: int, separator: str, sample: Sequence[Sequence[str]]) -> int:
    """Return the number of lines in a quoted field that look like rows, if nearly all of them do; else 0.

    A line looks like a row if it has as many fields; in a table of one column every line would.
    """
    longest = max((field for field in fields if "\n" in field), key=len, default="")
    if not longest or width == 1:
        return 0
    lines = [line for line in longest.splitlines()[1:-1] if line.strip()]
    num_rows = sum(line.count(separator) == width - 1 for line in lines)
    if num_rows >= _FEWEST_SWALLOWED:
        return num_rows if num_rows >= _SWALLOWED_SHARE * len(lines) else 0
    rows = _rows_within(fields, longest, separator)  # of so few lines, also the first and the last must be whole rows
    if len(rows) == len(lines) + 2 and all(len(row) == width for row in rows):
        column = fields.index(longest)
        is_likely = _repeats_values(rows, column, sample) or (lines and f"{separator} " not in longest)
        return len(rows) if is_likely else 0
    return 0


def _rows_within(fields: Sequence[str], field: str, separator: str) -> list[list[str]]:
    """Return the fields of each line if the quotes around this field are no quotes."""
    column = fields.index(field)
    rows = [line.split(separator) for line in field.splitlines()]
    rows[0] = [*fields[:column], *rows[0]]
    rows[-1] = [*rows[-1], *fields[column + 1 :]]
    return rows


def _repeats_values(rows: Sequence[Sequence[str]], column: int, sample: Sequence[Sequence[str]]) -> bool:
    """Return whether a column other than this one has only values that it has in other rows, too, as labels are."""
    for other in set(range(len(rows[0]))) - {column}:
        values = {row[other] for row in rows}
        if all(values) and values <= {row[other] for row in sample}:
            return True
    return False


def _stray_quote(swallowed: int) -> str:
    return (
        f"a quoted field begins here and runs over {swallowed} lines that look like rows: double or remove the stray "
        "quote, set dataset.source.quotes=false if quotes are part of the text, or dataset.source.quotes=true if the "
        "field is right"
    )


def _wrong_number(fields: Sequence[str], header: Sequence[str], quotes: bool) -> str:
    hint = "" if quotes else " and set dataset.source.quotes=true"
    return (
        f"{len(fields)} fields where {len(header)} are expected ({', '.join(header)}): enclose fields that contain "
        f"the delimiter, a quote or a line break in double quotes{hint}"
    )


def _shown(separator: str) -> str:
    return "a tab" if separator == "\t" else repr(separator)


def _typed(separator: str) -> str:
    """Return the setting of the separator as a shell takes it: the inner quotes are for Hydra."""
    escaped = separator.replace("\t", "\\t")
    return f"'dataset.source.separator=\"{escaped}\"'"


def _unescaped(separator: str) -> str:
    """Return the separator with a tab for its escape, which a command line or an unquoted YAML value holds."""
    return separator.replace("\\t", "\t")
