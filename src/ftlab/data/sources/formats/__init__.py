"""File formats: the reader of each, and the choice of a format by a file's extension."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.arrow import read_arrow
from ftlab.data.sources.formats.folders import read_folder
from ftlab.data.sources.formats.json_files import read_json, read_json_lines
from ftlab.data.sources.formats.parquet import read_parquet
from ftlab.data.sources.formats.plain import read_documents, read_lines, read_parallel
from ftlab.data.sources.formats.prefixed_labels import with_prefixed_labels
from ftlab.data.sources.formats.saved import is_saved_dataset, read_saved_dataset
from ftlab.data.sources.formats.tables import read_labelled, read_table
from ftlab.data.sources.formats.text_io import refuse_unsupported

RowIterator = Iterator[Row | BadRow]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options of a file reader.

    Attributes:
        names: of the columns, if the file has none.
        quotes: whether "…" encloses a field of a table; None: true for csv, false for tsv.
        encoding: None: UTF-8, or if that fails Western European.
        separator: between two fields; None: the format's own.
        field: key of the rows in a JSON object.
    """

    names: Sequence[str] | None = None
    quotes: bool | None = None
    encoding: str | None = None
    separator: str | None = None
    field: str | None = None


@dataclass(frozen=True)
class FileFormat:
    """A format of files.

    Attributes:
        read: yields the rows of a file.
        extensions: of the files that have this format, with or without .gz after them.
        has_columns: whether rows have named columns; if not, a row is a text.
        same_columns: whether all rows of a file have the same columns.
    """

    read: Callable[[Path, ReadOptions], RowIterator]
    extensions: tuple[str, ...] = ()
    has_columns: bool = True
    same_columns: bool = True


def _table(separator: str, *, quotes: bool) -> Callable[[Path, ReadOptions], RowIterator]:
    return lambda path, options: read_table(
        path,
        encoding=options.encoding,
        separator=options.separator or separator,
        names=options.names,
        quotes=quotes if options.quotes is None else options.quotes,
        check_quotes=options.quotes is None,  # whoever sets it has looked
    )


# A new format is one line here. A format without an extension must be set: dataset.source.format=…
FILE_FORMATS: dict[str, FileFormat] = {
    "csv": FileFormat(_table(",", quotes=True), (".csv",)),
    "tsv": FileFormat(_table("\t", quotes=False), (".tsv",)),
    "json": FileFormat(
        lambda path, options: read_json(path, encoding=options.encoding, names=options.names, field=options.field),
        (".json",),
        same_columns=False,
    ),
    "jsonl": FileFormat(
        lambda path, options: read_json_lines(path, encoding=options.encoding, names=options.names),
        (".jsonl", ".ndjson"),
        same_columns=False,
    ),
    "parquet": FileFormat(lambda path, options: read_parquet(path), (".parquet", ".pq")),
    "arrow": FileFormat(lambda path, options: read_arrow(path), (".arrow", ".feather", ".ipc")),
    "txt": FileFormat(
        lambda path, options: read_documents(path, encoding=options.encoding), (".txt",), has_columns=False
    ),
    "lines": FileFormat(lambda path, options: read_lines(path, encoding=options.encoding), has_columns=False),
    "labelled": FileFormat(
        lambda path, options: with_prefixed_labels(
            read_labelled(path, encoding=options.encoding, separator=options.separator, names=options.names)
        )
    ),
}
EXTENSIONS_WITH_COLUMNS = frozenset(
    extension
    for file_format in FILE_FORMATS.values()
    if file_format.has_columns
    for extension in file_format.extensions
)


def read_file(path: Path, options: ReadOptions, format: str | None = None) -> RowIterator:
    """Yield the rows of a file, or of a folder: of texts, or one that `datasets.Dataset.save_to_disk` wrote.

    Args:
        path: the file or folder.
        options: of the reader.
        format: a name in FILE_FORMATS; None: by the extension.

    Raises:
        DataError: it is missing, empty, broken, or of an unknown format; with the line where there is one.
    """
    rows: RowIterator
    if is_saved_dataset(path):
        rows = read_saved_dataset(path)
    elif path.is_dir() and format is None:
        rows = read_folder(path, encoding=options.encoding, refused_extensions=EXTENSIONS_WITH_COLUMNS)
    else:
        rows = FILE_FORMATS[format or format_of(path)].read(path, options)
    return _require_rows(rows, str(path))


def read_parallel_files(paths: Mapping[str, Path], options: ReadOptions) -> RowIterator:
    """Yield the rows of parallel files, column -> file; see `plain.read_parallel`."""
    return _require_rows(read_parallel(paths, encoding=options.encoding), " and ".join(map(str, paths.values())))


def extension_of(path: Path) -> str:
    """Return the extension of a file in lower case, without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def format_of(path: Path) -> str:
    """Return the name of a file's format, by its extension.

    Raises:
        DataError: no format has this extension; says what the file is, if its first bytes do.
    """
    extension = extension_of(path)
    match = next((name for name, format in FILE_FORMATS.items() if extension in format.extensions), None)
    if match is None:
        if path.is_file():
            refuse_unsupported(path)
        extensions = [extension for format in FILE_FORMATS.values() for extension in format.extensions]
        raise DataError(
            f"the format of {path} cannot be told from its name ({did_you_mean(extension, extensions)}): set "
            f"dataset.source.format to one of {', '.join(FILE_FORMATS)}."
        )
    return match


def has_same_columns(path: Path, format: str | None) -> bool:
    """Return whether all rows of a file, or of a saved data set, have the same columns."""
    return is_saved_dataset(path) or (not path.is_dir() and FILE_FORMATS[format or format_of(path)].same_columns)


def _require_rows(rows: RowIterator, name: str) -> RowIterator:
    """Yield the same rows; raise if there are none."""
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(f"{name} holds no rows.")
