"""Formats of files: how each becomes rows, and how the right one is found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.data.formats.folders import read_folder
from ftlab.data.formats.json_files import read_json, read_json_lines
from ftlab.data.formats.parquet import read_parquet
from ftlab.data.formats.plain import read_documents, read_lines, read_parallel
from ftlab.data.formats.tables import read_labelled, read_table
from ftlab.data.rows import BadRow, Row
from ftlab.errors import DataError, did_you_mean

Rows = Iterator[Row | BadRow]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader is told of a file beside its path.

    Attributes:
        names: of the columns, where the file has none.
        quotes: whether "…" encloses a field of a table; None: in csv it does, in tsv it does not.
        encoding: None: UTF-8, or else Western European.
        separator: between two fields; None: the format's own.
        field: where in a JSON object the rows are.
    """

    names: Sequence[str] | None = None
    quotes: bool | None = None
    encoding: str | None = None
    separator: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class Format:
    """A format of one file.

    Attributes:
        read: yields its rows.
        extensions: names of files that end like this have it, `.gz` behind them or not.
        columns: whether rows have columns with names; else a row is a text.
    """

    read: Callable[[Path, Reading], Rows]
    extensions: tuple[str, ...] = ()
    columns: bool = True


def _table(separator: str, *, quotes: bool) -> Callable[[Path, Reading], Rows]:
    return lambda path, told: read_table(
        path,
        encoding=told.encoding,
        separator=told.separator or separator,
        names=told.names,
        quotes=quotes if told.quotes is None else told.quotes,
    )


# A new format is one line here. Without an extension it is set by hand: dataset.source.format=…
FORMATS: dict[str, Format] = {
    "csv": Format(_table(",", quotes=True), (".csv",)),
    "tsv": Format(_table("\t", quotes=False), (".tsv",)),
    "json": Format(
        lambda path, told: read_json(path, encoding=told.encoding, names=told.names, field=told.field), (".json",)
    ),
    "jsonl": Format(
        lambda path, told: read_json_lines(path, encoding=told.encoding, names=told.names), (".jsonl", ".ndjson")
    ),
    "parquet": Format(lambda path, told: read_parquet(path), (".parquet",)),
    "txt": Format(lambda path, told: read_documents(path, encoding=told.encoding), (".txt",), columns=False),
    "lines": Format(lambda path, told: read_lines(path, encoding=told.encoding), columns=False),
    "labelled": Format(
        lambda path, told: read_labelled(path, encoding=told.encoding, separator=told.separator, names=told.names)
    ),
}
_WITH_COLUMNS = frozenset(ending for found in FORMATS.values() if found.columns for ending in found.extensions)


def read_file(path: Path, reading: Reading, format: str | None = None) -> Rows:
    """Yield the rows of a file, or of a folder of texts.

    Args:
        path: the file or folder.
        reading: what is known of it.
        format: a name in FORMATS; None: as its extension says.

    Raises:
        DataError: it is missing, empty, broken, or of no kind that can be read; with the line where there is one.
    """
    if path.is_dir() and format is None:
        return _some(read_folder(path, encoding=reading.encoding, records=_WITH_COLUMNS), str(path))
    return _some(FORMATS[format or format_of(path)].read(path, reading), str(path))


def read_columns(paths: Mapping[str, Path], reading: Reading) -> Rows:
    """Yield the rows of parallel files, column -> file; see `plain.read_parallel`."""
    return _some(read_parallel(paths, encoding=reading.encoding), " and ".join(map(str, paths.values())))


def format_of(path: Path) -> str:
    """Return the name of the format that a file has by its extension.

    Raises:
        DataError: there is none of that extension.
    """
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    found = next((name for name, format in FORMATS.items() if kind in format.extensions), None)
    if found is None:
        endings = [ending for format in FORMATS.values() for ending in format.extensions]
        raise DataError(
            f"{path} is of no kind that can be told by its name ({did_you_mean(kind, endings)}): set "
            f"dataset.source.format to one of {', '.join(FORMATS)}."
        )
    return found


def _some(rows: Rows, place: str) -> Rows:
    """Yield the same rows; none at all is an error."""
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{place} holds no rows.")
