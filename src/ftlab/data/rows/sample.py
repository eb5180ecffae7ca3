"""Sample of the rows at the start of a split, which decides how all of them are read."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from ftlab.data.rows.row import BadRow, Row

_SAMPLE_ROWS = 1000


def with_sample(rows: Iterable[Row | BadRow]) -> tuple[list[Row], Iterator[Row | BadRow]]:
    """Return those of the first rows that can be used, and an iterator of all rows, the first ones included."""
    rows = iter(rows)
    first = [*islice(rows, _SAMPLE_ROWS)]
    return [row for row in first if isinstance(row, Row)], chain(first, rows)
