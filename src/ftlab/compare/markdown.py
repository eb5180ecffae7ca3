"""comparison.md: readable as it is, and as rendered by any Markdown viewer."""

import re
from collections.abc import Sequence

from rich.cells import cell_len

from ftlab.compare.comparison import Comparison, Table
from ftlab.compare.sheet import sheet
from ftlab.compare.sides import sides
from ftlab.compare.summary import commands, sentences, title, versions
from ftlab.compare.verdict import verdict

_ACTIVE = re.compile(r"([\\|<>\[\]*`~#&])")  # what would turn text from a record into markup


def markdown(comparison: Comparison) -> str:
    """Return the whole comparison as GitHub-flavoured Markdown."""
    parts = [f"# {escape(title(comparison))}", escape(" ".join(sentences(comparison)))]
    if comparison.notices:
        parts.append("\n".join(f"- Warning: {escape(text)}" for text in comparison.notices))
    for table in comparison.tables:
        parts += _table(table, verdict(table) if len(comparison.tables) > 1 else [])  # of one table the lead says it
    if lines := commands(comparison):
        parts += ["## Made by", shell(lines)]
    if libraries := versions(comparison):
        parts.append("Versions: " + ", ".join(escape(f"{name} {version}") for name, version in libraries.items()) + ".")
    return "\n\n".join(parts) + "\n"


def shell(lines: Sequence[str]) -> str:
    """Return commands as a block of code, whatever backticks are in them."""
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{fence}shell", *lines, fence])


def _table(table: Table, found: list[str]) -> list[str]:
    content = sheet(table)
    body = [[escape(line.label), *(escape(cell.text) for cell in line.cells)] for line in content.lines]
    parts = [
        f"## {escape(table.title)}",
        *([escape(" ".join(found))] if found else []),
        grid([escape(heading) for heading in content.headings], body),
        escape(content.caption),
    ]
    if table.tunings:
        parts.append("\n".join(f"- {escape(str(search))}" for search in table.tunings))
    if table.warnings:
        parts.append("\n".join(f"{number}. Warning: {escape(text)}" for number, text in enumerate(table.warnings, 1)))
    for side in sides(table):
        body = [[escape(row.label), *(escape(cell.text) for cell in cells)] for row, cells in side.lines]
        headings = ["method", *map(escape, side.headings)]
        parts += [f"### {escape(side.title)}", grid(headings, body), escape(side.note)]
    return parts


def grid(headings: list[str], body: list[list[str]]) -> str:
    """Align the source of a table: method and status to the left, numbers to the right."""
    last = len(headings) - 1
    widths = [max(cell_len(row[index]) for row in [headings, *body]) for index in range(last)] + [len(headings[last])]

    def line(cells: list[str]) -> str:
        padded = []
        for index, (text, width) in enumerate(zip(cells, widths, strict=True)):
            space = " " * (width - cell_len(text))
            padded.append(space + text if 0 < index < last else text + space)
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - 1) + ":" if 0 < index < last else "-" * width for index, width in enumerate(widths)]
    return "\n".join([line(headings), line(rule), *(line(row) for row in body)])


def escape(text: str) -> str:
    """Return text that stays text in Markdown, on one line."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))
