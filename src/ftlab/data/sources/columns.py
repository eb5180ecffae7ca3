"""Columns of words and tags in the lines of a file: settings, defaults, and their numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.tags import OUTSIDE
from ftlab.data.sources.column_formats import ColumnFormat, first_entity_column

SourceColumn = int | str


@dataclass(frozen=True)
class LineFormat:
    """Format of a line: columns, separator, comments.

    Attributes:
        tokens: column of the words, by number from 0 (-1: the last) or by name.
        tags: column of the tags.
        names: of the columns, from the left; empty: the file names them, or they have numbers only.
        separator: `tab` or `whitespace`; None: `tab` if the first line has a tab.
        comment: prefix of comment lines; None: `#`, in files with tabs and only if the line has no tab.
        cut: regular expression of what is removed from a word.
        format: name of a known format; None: by the file.
    """

    tokens: SourceColumn = 0
    tags: SourceColumn = -1
    names: Sequence[str] = ()
    separator: str | None = None
    comment: str | None = None
    cut: str | None = None
    format: str | None = None


def default_columns(
    line_format: LineFormat,
    column_format: ColumnFormat | None,
    names: Sequence[str],
    numbered: Sequence[Sequence[Sequence[str]]],
    width: int,
    where: str,
) -> tuple[SourceColumn, SourceColumn]:
    """Return the columns of words and tags; the settings' defaults stand for those of the format.

    Args:
        line_format: the settings.
        column_format: format of the file, if it is a known one.
        names: of the columns, if they have some.
        numbered: the fields of the lines of each sentence, if the first column numbers its words.
        width: number of columns.
        where: file and line of the first word, for the message.

    Raises:
        DataError: the first column numbers the words, and which one has the tags is not clear.
    """
    tokens, tags = line_format.tokens, line_format.tags
    if column_format:
        tokens = column_format.tokens if tokens == LineFormat.tokens else tokens
        return tokens, column_format.tags if tags == LineFormat.tags else tags
    if not numbered or names or tokens != LineFormat.tokens or width < 3:
        return tokens, tags
    if tags == LineFormat.tags and width > 3:
        column = first_entity_column(numbered, 2, width)
        if column is None:
            raise DataError(
                f"{where}: the first of {width} columns numbers the words, and which one has the tags is not clear: "
                "set dataset.source.tokens and dataset.source.tags to the numbers of their columns, from 0."
            )
        tags = column
    return 1, tags


def column_index(column: SourceColumn, role: str, names: Sequence[str], width: int, path: Path) -> int:
    """Return the number of a column, from 0."""
    if isinstance(column, int):
        if -width <= column < width:
            return column % width
        raise DataError(
            f"dataset.source.{role}={column}: {path} has {width} columns, 0 to {width - 1} from the left, or -1 to "
            f"{-width} from the right."
        )
    name = column if column in names else column.lower()
    if name not in names or names.index(name) >= width:
        hint = did_you_mean(column, names) if names else "its columns have no names: give a number, or set names"
        raise DataError(f"dataset.source.{role}={column} is no column of {path}: {hint}.")
    return names.index(name)


def feature_value(features: str, key: str) -> str:
    """Return the value of a key in features such as `NER=B-PER|SpaceAfter=No`; O if it is not there."""
    values = dict(pair.split("=", 1) for pair in features.split("|") if "=" in pair)
    return values.get(key, OUTSIDE)
