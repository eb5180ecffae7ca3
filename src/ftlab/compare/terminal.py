"""The comparison for the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group
from rich.table import Table as Grid
from rich.text import Text

from ftlab.compare.comparison import Comparison, Table
from ftlab.compare.sheet import Sheet, sheet
from ftlab.compare.verdict import verdict

# From roomy to tight: characters between columns, and whether what may stand on a second line does.
_FITS = ((2, False), (2, True), (1, True))


def table(comparison: Comparison) -> Group:
    """Return the tables, their captions and all warnings as one renderable for `rich.print`."""
    parts: list[_Fitted | Text] = []
    for item in comparison.tables:
        parts += _parts(item)
    parts += [_warning(text) for text in comparison.notices]
    return Group(*parts)


def _parts(table: Table) -> list["_Fitted | Text"]:
    content = sheet(table)
    parts: list[_Fitted | Text] = [Text(table.title, style="bold"), _Fitted(content)]
    for line in content.lines:
        if line.run is not None:  # the whole error: a column of the table would break it into pieces
            parts.append(Text.assemble((f"{line.label}: ", "bold"), line.run.outcome))
    if found := verdict(table):
        parts.append(Text(" ".join(found)))
    parts.append(Text(content.caption, style="dim"))
    parts += [Text(str(search), style="dim") for search in table.tunings]
    parts += [_warning(f"[{number}] {text}") for number, text in enumerate(table.warnings, 1)]
    return [*parts, Text("")]


def _warning(text: str) -> Text:
    return Text.assemble(("Warning: ", "yellow"), text)


@dataclass(frozen=True)
class _Column:
    heading: str
    cells: tuple[str, ...]
    numeric: bool

    @property
    def width(self) -> int:
        return max(cell_len(line) for text in (self.heading, *self.cells) for line in text.split("\n"))


@dataclass(frozen=True)
class _Fitted:
    """A table that never cuts a number: where the terminal is too narrow, it continues below itself."""

    content: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Grid | Text]:
        for gap, broken in _FITS:
            columns = self._columns(broken)
            if sum(column.width + gap for column in columns) - gap <= options.max_width:
                yield _grid(columns, gap)
                return
        names, *columns = self._columns(broken=False)
        named = min(names.width, max(12, options.max_width // 3))  # a longer name is wrapped
        part: list[_Column] = []
        for column in columns:
            if part and named + sum(1 + other.width for other in (*part, column)) > options.max_width:
                yield _grid([names, *part], 1, named)
                yield Text("")
                part = []
            part.append(column)
        yield _grid([names, *part], 1, named)

    def _columns(self, broken: bool) -> list[_Column]:
        """Return the columns; `broken` puts a share in parentheses, an interval and a "per" on lines of their own."""
        rows = [(line.label, *(cell.text for cell in line.cells)) for line in self.content.lines]
        # The status of a run without result is one word here: its error stands below the table.
        last = len(self.content.headings) - 1
        words = [
            row[last] if line.run is None else line.run.record.status
            for row, line in zip(rows, self.content.lines, strict=True)
        ]
        columns = [*list(zip(*rows, strict=True))[:last], tuple(words)]
        return [
            _Column(
                heading=heading.replace(" ", "\n").replace("/", "\n/" if broken else "/"),
                cells=tuple(_folded(cell) for cell in cells) if broken and index else cells,
                numeric=0 < index < last,
            )
            for index, (heading, cells) in enumerate(zip(self.content.headings, columns, strict=True))
        ]


def _folded(cell: str) -> str:
    return cell.replace(" (", "\n(").replace(" [", "\n[")


def _grid(columns: Sequence[_Column], gap: int, named: int | None = None) -> Grid:
    grid = Grid(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for index, column in enumerate(columns):
        grid.add_column(
            Text(column.heading, style="dim"),
            justify="right" if column.numeric else "left",
            vertical="top",
            width=column.width if index or named is None else named,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
