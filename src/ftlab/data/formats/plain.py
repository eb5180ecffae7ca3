"""Plain text: documents, lines, and lines that belong together."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from ftlab.data.formats.opening import lines
from ftlab.data.rows import BadRow, Row
from ftlab.errors import DataError


def read_documents(path: Path, *, encoding: str | None) -> Iterator[Row]:
    """Yield what blank lines set apart; column text."""
    document: list[str] = []
    number = 0
    for number, line in lines(path, encoding):
        if line.strip():
            document.append(line)
        elif document:
            yield Row({"text": "\n".join(document)}, f"{path.name}:{number - len(document)}")
            document = []
    if document:
        yield Row({"text": "\n".join(document)}, f"{path.name}:{number - len(document) + 1}")


def read_lines(path: Path, *, encoding: str | None) -> Iterator[Row]:
    """Yield each line that is not blank; column text."""
    for number, line in lines(path, encoding):
        if line.strip():
            yield Row({"text": line}, f"{path.name}:{number}")


def read_parallel(paths: Mapping[str, Path], *, encoding: str | None) -> Iterator[Row | BadRow]:
    """Yield a row for each line number: column -> that line of the column's file.

    Raises:
        DataError: the files have unequal numbers of lines.
    """
    name = "+".join(path.name for path in paths.values())
    counts = dict.fromkeys(paths, 0)
    for together in zip_longest(*(lines(path, encoding) for path in paths.values())):
        for column, found in zip(paths, together, strict=True):
            counts[column] += found is not None
        if len(set(counts.values())) == 1:
            number = together[0][0]
            values = {column: line for column, (_, line) in zip(paths, together, strict=True)}
            yield Row(values, f"{name}:{number}")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path} has {counts[column]}" for column, path in paths.items())
        raise DataError(f"parallel files need equal numbers of lines: {told}.")
