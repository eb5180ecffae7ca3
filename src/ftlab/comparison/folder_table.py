"""Tables of runs and sweeps, with the names of folders whole: for the terminal, and as lines for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ftlab.comparison.formats import printable

_GAP = 2  # cells between two columns
_NARROWEST = 12  # cells of a column that folds


@dataclass(frozen=True)
class FolderColumn:
    """Column of a table of folders.

    Attributes:
        heading: its name.
        cells: one for each row.
        importance: columns of the lowest are left out first where space is short; None: it is never left out.
        right: whether it is aligned on the right.
        folds: whether its cells may be broken over several lines.
    """

    heading: str
    cells: Sequence[Text]
    importance: int | None = None
    right: bool = False
    folds: bool = False

    @property
    def width(self) -> int:
        """Return the cells of a terminal that its longest line takes."""
        return max(cell.cell_len for cell in (Text(self.heading), *self.cells))

    @property
    def least_width(self) -> int:
        """Return the cells of a terminal that it takes at least."""
        return min(self.width, _NARROWEST) if self.folds else self.width


def print_folders(
    columns: Sequence[FolderColumn],
    console: Console,
    title: str | None = None,
    *,
    remedy: str = "see --plain or --json",
) -> None:
    """Print a table. Its first column, the folders, is never broken or cut, so that a name can be copied.

    Columns without any content are left out, and where the terminal is too narrow, unimportant ones: a line says so,
    with the remedy.
    """
    filled = [column for column in columns if column.importance is None or any(cell.plain for cell in column.cells)]
    shown = list(filled)
    while _least_width(shown) > console.width and (removable := [column for column in shown if column.importance]):
        shown.remove(min(removable, key=lambda column: column.importance or 0))
    if title is not None:
        console.print(printable(title), style="italic", markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold")
    for column in shown:
        table.add_column(
            column.heading,
            overflow="fold",
            no_wrap=not column.folds,
            min_width=column.least_width,
            justify="right" if column.right else "left",
        )
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*cells)
    if (width := _least_width(shown)) > console.width:
        table.width = width  # the terminal breaks the lines; rich would cut them
    console.print(table, crop=False)
    if left_out := [column.heading for column in filled if column not in shown]:
        console.print(f"Too narrow for {', '.join(left_out)}: {remedy}.", style="dim", soft_wrap=True)


def print_for_programs(rows: Sequence[Any], *, as_json: bool) -> None:
    """Print dataclasses as a JSON list of objects, or as one line each without headings: the fields, between tabs."""
    values = [asdict(row) for row in rows]
    if as_json:
        print(json.dumps(values, ensure_ascii=False, indent=1, default=str))
    else:
        for fields in values:
            print("\t".join(map(_plain, fields.values())))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ",".join(f"{_plain(key)}={_plain(member)}" for key, member in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    return printable(str(value))


def _least_width(columns: Sequence[FolderColumn]) -> int:
    return sum(column.least_width for column in columns) + _GAP * (len(columns) - 1)
