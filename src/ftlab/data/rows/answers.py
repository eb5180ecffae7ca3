"""Answers of annotators, as Prodigy writes them beside each row: who rejects a row does not stand by its label."""

from collections.abc import Iterable, Iterator

from ftlab.data.rows.row import BadRow, Columns, Row
from ftlab.data.rows.sample import with_sample

_COLUMN = "answer"
_REJECTED = ("reject", "ignore")
_ANSWERS = ("accept", *_REJECTED)


def without_rejected(rows: Iterable[Row | BadRow], columns: Columns) -> Iterator[Row | BadRow]:
    """Yield the rows, with a bad row in place of each that the annotator rejected or ignored.

    Args:
        rows: with column -> value.
        columns: role -> column; a column with a role holds no such answers.
    """
    sample, all_rows = with_sample(rows)
    answers = {str(row.values.get(_COLUMN)) for row in sample}
    if not answers or not answers <= {*_ANSWERS} or _COLUMN in columns.values():
        return all_rows
    return (bad_row(row) if isinstance(row, Row) and is_rejected(row) else row for row in all_rows)


def is_rejected(row: Row) -> bool:
    """Return whether the annotator does not stand by this row."""
    return str(row.values.get(_COLUMN)) in _REJECTED


def bad_row(row: Row) -> BadRow:
    """Return the placeholder of a row that was rejected."""
    return BadRow(row.where, "rejected", f"the annotator's answer is {row.values[_COLUMN]!r}: remove this row")
