"""Markdown file of a comparison, readable as source and as rendered by any Markdown viewer."""

import re
from collections.abc import Sequence

from rich.cells import cell_len

from ftlab.comparison.render.answers import short_answers
from ftlab.comparison.render.extra_tables import extra_tables
from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.main_table import main_table
from ftlab.comparison.render.summary import commands, summary_sentences, title, versions
from ftlab.comparison.searched_rows import search_sentences
from ftlab.comparison.tables import ComparisonTables, Table

_ANSWERS = "Some answers to the same prompts, of one seed:"
_MARKUP_CHARACTERS = re.compile(r"([\\|<>\[\]*`~#&])")  # would turn text from a record into markup


def markdown(comparison: ComparisonTables) -> str:
    """Return the text of comparison.md in GitHub-flavoured Markdown."""
    parts = [f"# {escape_markdown(title(comparison))}", escape_markdown(" ".join(summary_sentences(comparison)))]
    if comparison.notices:
        parts.append("\n".join(f"- Warning: {escape_markdown(text)}" for text in comparison.notices))
    for table in comparison.tables:
        # with a single table, the summary at the top has its findings
        parts += _table(table, findings(table) if len(comparison.tables) > 1 else [])
    if lines := commands(comparison):
        parts += ["## Made by", shell_block(lines)]
    if libraries := versions(comparison):
        parts.append(
            "Versions: " + ", ".join(escape_markdown(f"{name} {version}") for name, version in libraries.items()) + "."
        )
    return "\n\n".join(parts) + "\n"


def shell_block(lines: Sequence[str]) -> str:
    """Return commands as a code block; its fence is longer than any run of backticks in them."""
    backticks = [run for line in lines for run in re.findall("`+", line)]
    fence = "`" * max(3, 1 + max(map(len, backticks), default=0))
    return "\n".join([f"{fence}shell", *lines, fence])


def _table(table: Table, sentences: list[str]) -> list[str]:
    content = main_table(table)
    body = [
        [escape_markdown(line.label), *(escape_markdown(cell.text) for cell in line.cells)] for line in content.lines
    ]
    lines = short_answers(table)
    parts = [
        f"## {escape_markdown(table.title)}",
        *([escape_markdown(" ".join(sentences))] if sentences else []),
        *([escape_markdown(content.head)] if content.head else []),
        *([f"{_ANSWERS}\n\n" + "\n".join(f"- {escape_markdown(line)}" for line in lines)] if lines else []),
        markdown_table([escape_markdown(heading) for heading in content.headings], body),
        escape_markdown(content.caption),
    ]
    if searches := search_sentences(table):
        parts.append("\n".join(f"- {escape_markdown(search)}" for search in searches))
    if table.warnings:
        parts.append(
            "\n".join(f"{number}. Warning: {escape_markdown(text)}" for number, text in enumerate(table.warnings, 1))
        )
    for extra in extra_tables(table):
        body = [
            [escape_markdown(row.label), *(escape_markdown(cell.text) for cell in cells)] for row, cells in extra.lines
        ]
        headings = ["method", *map(escape_markdown, extra.headings)]
        parts += [f"### {escape_markdown(extra.title)}", markdown_table(headings, body), escape_markdown(extra.note)]
    return parts


def markdown_table(headings: list[str], body: list[list[str]]) -> str:
    """Return a table with aligned source: first and last column to the left, the others to the right."""
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


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows literally, on one line."""
    return _MARKUP_CHARACTERS.sub(r"\\\1", " ".join(text.split()))
