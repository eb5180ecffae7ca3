"""Parallel files of words and tags: line n of one has the words of a sentence, line n of the other their tags."""

from collections.abc import Mapping
from pathlib import Path

from ftlab.core.errors import DataError
from ftlab.core.file_pairs import FILE_PAIRS
from ftlab.data.rows.remarks import RowsWithNotes
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats import ReadOptions, RowIterator, read_parallel_files

PathSpec = str | list[str] | dict[str, str]  # a file, folder or pattern, or several; or tokens and tags -> file

PAIR_NAMES = ", or ".join(" and ".join(names) for names in FILE_PAIRS)  # for messages
_ROLES = ("tokens", "tags")


def tag_line_files(spec: PathSpec) -> dict[str, Path] | None:
    """Return role -> file if this names two parallel files, a folder that holds them, or one of them; else None.

    Raises:
        DataError: it names other things than tokens and tags, or a file without the other.
    """
    if isinstance(spec, Mapping):
        if set(spec) != set(_ROLES):
            raise DataError(
                f"dataset.source needs a file of tokens and one of tags, e.g. {{tokens:seq.in,tags:seq.out}}, not "
                f"{dict(spec)}."
            )
        return {role: Path(spec[role]).expanduser() for role in _ROLES}
    if not isinstance(spec, str):
        return None
    path = Path(spec).expanduser()
    folder = path if path.is_dir() else path.parent
    for names in FILE_PAIRS:
        files = {role: folder / name for role, name in zip(_ROLES, names, strict=True)}
        if (path == folder or path.name in names) and all(file.is_file() for file in files.values()):
            return files
    lonely = [
        folder / name for name in FILE_PAIRS[0] if path.name == name or (path == folder and (path / name).is_file())
    ]
    if lonely:
        raise DataError(
            f"{lonely[0]} has words or tags alone, and the other file ({' or '.join(FILE_PAIRS[0])}) is not beside it."
        )
    return None


def read_tag_lines(files: Mapping[str, Path], encoding: str | None) -> RowIterator:
    """Return a row for each line; white space separates words. Lines that are blank in both are left out."""
    note = f"words from {files['tokens'].name}, tags from the same lines of {files['tags'].name}"
    return RowsWithNotes(_split_rows(read_parallel_files(files, ReadOptions(encoding=encoding))), [note])


def _split_rows(rows: RowIterator) -> RowIterator:
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif any(map(str.strip, row.values.values())):
            yield Row({role: text.split() for role, text in row.values.items()}, row.where)
