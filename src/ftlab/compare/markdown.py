"""comparison.md: readable as it is, and as rendered by any Markdown viewer."""

import re

from rich.cells import cell_len

from ftlab.compare.comparison import Comparison, Table
from ftlab.compare.sheet import sheet
from ftlab.compare.summary import commands, sentences, title, versions

_ACTIVE = re.compile(r"([\\|<>\[\]*`~#&])")  # what would turn text from a record into markup


def markdown(comparison: Comparison) -> str:
    """Return the whole comparison as GitHub-flavoured Markdown."""
    parts = [f"# {_escape(title(comparison))}", " ".join(sentences(comparison))]
    if comparison.notices:
        parts.append("\n".join(f"- Warning: {_escape(text)}" for text in comparison.notices))
    for table in comparison.tables:
        parts += _table(table)
    if lines := commands(comparison):
        fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall("`+", line)), default=0))
        parts += ["## Made by", "\n".join([f"{fence}shell", *lines, fence])]
    if libraries := versions(comparison):
        parts.append(
            "Versions: " + ", ".join(_escape(f"{name} {version}") for name, version in libraries.items()) + "."
        )
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> list[str]:
    content = sheet(table)
    body = [[_escape(line.label), *(_escape(cell.text) for cell in line.cells)] for line in content.lines]
    parts = [
        f"## {_escape(table.title)}",
        _grid([_escape(heading) for heading in content.headings], body),
        content.caption,
    ]
    if table.warnings:
        parts.append("\n".join(f"{number}. Warning: {_escape(text)}" for number, text in enumerate(table.warnings, 1)))
    return parts


def _grid(headings: list[str], body: list[list[str]]) -> str:
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


def _escape(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))
