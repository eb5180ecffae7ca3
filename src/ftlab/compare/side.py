"""A small table beside a comparison's main one, as text cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ftlab.compare.comparison import Configuration
from ftlab.compare.sheet import Cell


@dataclass(frozen=True)
class Side:
    """A small table; rows that have none of it are left out.

    Attributes:
        title: its heading.
        headings: of all columns but the first, the row's name.
        lines: row and cells.
        note: what a reader must know to read it.
    """

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[Configuration, tuple[Cell, ...]], ...]
    note: str


def side(title: str, rows: Sequence[Configuration], columns: Iterable[tuple[str, list[Cell]]], note: str) -> Side:
    """Put columns together, each of which has a cell per row."""
    columns = list(columns)
    lines = ((row, tuple(cells[index] for _, cells in columns)) for index, row in enumerate(rows))
    return Side(title, tuple(heading for heading, _ in columns), tuple(lines), note)
