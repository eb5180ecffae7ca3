"""Plain text readers: documents, lines, and parallel files."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from ftlab.core.errors import DataError
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.text_io import numbered_lines


def read_documents(path: Path, *, encoding: str | None) -> Iterator[Row]:
    """Yield documents, which blank lines separate; column text."""
    document: list[str] = []
    number = 0
    for number, line in numbered_lines(path, encoding):
        if line.strip():
            document.append(line)
        elif document:
            yield Row({"text": "\n".join(document)}, f"{path.name}:{number - len(document)}")
            document = []
    if document:
        yield Row({"text": "\n".join(document)}, f"{path.name}:{number - len(document) + 1}")


def read_lines(path: Path, *, encoding: str | None) -> Iterator[Row]:
    """Yield each line that is not blank; column text."""
    for number, line in numbered_lines(path, encoding):
        if line.strip():
            yield Row({"text": line}, f"{path.name}:{number}")


def read_parallel(paths: Mapping[str, Path], *, encoding: str | None) -> Iterator[Row | BadRow]:
    """Yield a row for each line number: column -> that line of the column's file.

    Raises:
        DataError: the files have unequal numbers of lines.
    """
    name = "+".join(path.name for path in paths.values())
    counts = dict.fromkeys(paths, 0)
    for parallel_lines in zip_longest(*(numbered_lines(path, encoding) for path in paths.values())):
        for column, numbered_line in zip(paths, parallel_lines, strict=True):
            counts[column] += numbered_line is not None
        if len(set(counts.values())) == 1:
            number = parallel_lines[0][0]
            values = {column: line for column, (_, line) in zip(paths, parallel_lines, strict=True)}
            yield Row(values, f"{name}:{number}")
    if len(set(counts.values())) > 1:
        lengths = ", ".join(f"{path} has {counts[column]}" for column, path in paths.items())
        raise DataError(f"parallel files need equal numbers of lines: {lengths}.")
