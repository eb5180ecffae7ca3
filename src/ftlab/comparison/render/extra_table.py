"""Extra table of a comparison, shown after the main one, as text cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ftlab.comparison.render.main_table import Cell
from ftlab.comparison.tables import Configuration


@dataclass(frozen=True)
class ExtraTable:
    """An extra table; configurations without any of its values are left out.

    Attributes:
        title: title of the table.
        headings: of all columns but the first, which holds the row's name.
        lines: configuration and cells of each row.
        note: explanation for the reader.
    """

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[Configuration, tuple[Cell, ...]], ...]
    note: str


def extra_table(
    title: str, rows: Sequence[Configuration], columns: Iterable[tuple[str, list[Cell]]], note: str
) -> ExtraTable:
    """Return the table with these columns, each a heading and a cell per row."""
    columns = list(columns)
    lines = ((row, tuple(cells[index] for _, cells in columns)) for index, row in enumerate(rows))
    return ExtraTable(title, tuple(heading for heading, _ in columns), tuple(lines), note)
