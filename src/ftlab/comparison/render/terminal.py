"""Terminal output of a comparison."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group
from rich.table import Table as Grid
from rich.text import Text

from ftlab.comparison.formats import printable
from ftlab.comparison.render.answers import short_answers
from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.main_table import MainTable, main_table
from ftlab.comparison.searched_rows import search_sentences
from ftlab.comparison.tables import ComparisonTables, Table

# Layouts to try, from wide to narrow: characters between columns, and whether cells are broken into lines.
_LAYOUTS = ((2, False), (2, True), (1, True))


def terminal_tables(comparison: ComparisonTables) -> Group:
    """Return the tables, their captions and all warnings as one renderable for `rich.print`."""
    parts: list[_FittedTable | Text] = []
    for table in comparison.tables:
        parts += _parts(table)
    parts += [_warning(text) for text in comparison.notices]
    return Group(*parts)


def _parts(table: Table) -> list["_FittedTable | Text"]:
    content = main_table(table)
    parts: list[_FittedTable | Text] = [Text(printable(table.title), style="bold")]
    if content.head:
        parts.append(Text(printable(content.head), style="dim"))
    parts += [*(Text(line) for line in short_answers(table)), _FittedTable(content)]
    for line in content.lines:
        if line.run is not None:  # the whole error message, which would not fit into a column
            parts.append(Text.assemble((f"{printable(line.full_label)}: ", "bold"), printable(line.run.outcome)))
    if sentences := findings(table):
        parts.append(Text(" ".join(sentences)))
    parts.append(Text(content.caption, style="dim"))
    parts += [Text(printable(search), style="dim") for search in search_sentences(table)]
    parts += [_warning(f"[{number}] {text}") for number, text in enumerate(table.warnings, 1)]
    return [*parts, Text("")]


def _warning(text: str) -> Text:
    return Text.assemble(("Warning: ", "yellow"), printable(text))


@dataclass(frozen=True)
class _Column:
    heading: str
    cells: tuple[str, ...]
    numeric: bool

    @property
    def width(self) -> int:
        return max(cell_len(line) for text in (self.heading, *self.cells) for line in text.split("\n"))


@dataclass(frozen=True)
class _FittedTable:
    """A table that never truncates a number: in a narrow terminal it is split into parts, one below the other."""

    content: MainTable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Grid | Text]:
        for gap, break_cells in _LAYOUTS:
            columns = self._columns(break_cells)
            if sum(column.width + gap for column in columns) - gap <= options.max_width:
                yield _grid(columns, gap)
                return
        names, *columns = self._columns(break_cells=False)
        if settings := self.content.settings:
            # they stand in the name, which each part repeats, but for a searched rate
            names = _Column(names.heading, tuple(line.full_label for line in self.content.lines), numeric=False)
            in_names = [any(f"{column.heading}=" in text for text in names.cells) for column in columns[:settings]]
            searched = [column for column, named in zip(columns[:settings], in_names, strict=True) if not named]
            columns = [*searched, *columns[settings:]]
        name_width = min(names.width, max(12, options.max_width // 3))  # a longer name is wrapped
        part: list[_Column] = []
        for column in columns:
            if part and name_width + sum(1 + other.width for other in (*part, column)) > options.max_width:
                yield _grid([names, *part], 1, name_width)
                yield Text("")
                part = []
            part.append(column)
        yield _grid([names, *part], 1, name_width)

    def _columns(self, break_cells: bool) -> list[_Column]:
        """Return the columns; with `break_cells`, parentheses, intervals and what follows a slash start a new line."""
        rows = [(printable(line.label), *(cell.text for cell in line.cells)) for line in self.content.lines]
        # The status of a run without a result is one word here: its error is printed below the table.
        last = len(self.content.headings) - 1
        statuses = [
            row[last] if line.run is None else line.run.record.status
            for row, line in zip(rows, self.content.lines, strict=True)
        ]
        columns = [*list(zip(*rows, strict=True))[:last], tuple(statuses)]
        return [
            _Column(
                heading=heading.replace(" ", "\n").replace("/", "\n/" if break_cells else "/"),
                cells=tuple(_broken(cell) for cell in cells) if break_cells and index else cells,
                numeric=0 < index < last,
            )
            for index, (heading, cells) in enumerate(zip(self.content.headings, columns, strict=True))
        ]


def _broken(cell: str) -> str:
    return cell.replace(" (", "\n(").replace(" [", "\n[")


def _grid(columns: Sequence[_Column], gap: int, name_width: int | None = None) -> Grid:
    grid = Grid(box=None, padding=(0, gap, 0, 0), pad_edge=False)
    for index, column in enumerate(columns):
        grid.add_column(
            Text(column.heading, style="dim"),
            justify="right" if column.numeric else "left",
            vertical="top",
            width=column.width if index or name_width is None else name_width,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
