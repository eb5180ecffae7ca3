"""Source: the user's own files and folders, in any format of `ftlab.data.sources.formats`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.row import SPLITS, BadRow, Row
from ftlab.data.sources.formats import (
    EXTENSIONS_WITH_COLUMNS,
    FILE_FORMATS,
    ReadOptions,
    RowIterator,
    extension_of,
    format_of,
    has_same_columns,
    read_file,
    read_parallel_files,
)
from ftlab.data.sources.split_paths import SPLIT_NAMES, existing, split_paths

# A file, folder or glob pattern; or several, whose rows are concatenated; or column -> file, of parallel lines.
PathSpec = str | list[str] | dict[str, str]


def read(
    train: PathSpec,
    val: PathSpec | None = None,
    test: PathSpec | None = None,
    format: str | None = None,
    names: list[str] | None = None,
    quotes: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    fields: str | dict[str, str] | None = None,
    split_column: str | None = None,
) -> dict[str, RowIterator]:
    """Read the rows of each split; paths are relative to the working directory.

    Args:
        train: file, folder or glob pattern of the training rows; a list of such; or column -> file, where the lines of
            equal number make a row. A folder with several splits, as `save_to_disk` of `datasets` writes it, has the
            splits that are not set, too; others without a file are carved from the training rows.
        val: the same for the validation rows.
        test: the same for the test rows.
        format: csv, tsv, json, jsonl, parquet, arrow, txt, lines (a text per line) or labelled (a label, a space and a
            text per line); null: by the extension.
        names: column names of tables without a header line, and of JSON rows that are lists.
        quotes: whether "…" in csv and tsv files encloses a field; null: true for csv, false for tsv.
        separator: between two fields; null: the format's own.
        encoding: e.g. gb18030; null: UTF-8, or if that fails Western European, which is logged.
        fields: key of the rows in a JSON file that is an object; or split -> key, which may share a file.
        split_column: column of the training file that names the split of each row: train, val (dev …) or test.

    Raises:
        DataError: a file is missing, empty or broken; names the file and, where there is one, the line. Errors in the
            content of a file are raised when its rows are read.
    """
    if format is not None and format not in FILE_FORMATS:
        raise DataError(f"dataset.source.format={format} is unknown: {did_you_mean(format, FILE_FORMATS)}.")
    fields_by_split = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(SPLITS, fields)
    for split in fields_by_split:
        if split not in SPLITS:
            raise DataError(f"dataset.source.fields.{split} is not a split: {did_you_mean(split, SPLITS)}.")
    paths = {"train": train, "val": val, "test": test}
    if isinstance(fields, Mapping):  # several splits can be in one file
        paths = {split: path or (train if fields_by_split.get(split) else None) for split, path in paths.items()}
    resolved = resolve(paths, format)
    readers: dict[str, Callable[[], RowIterator]] = {}
    for split, files in resolved.items():
        options = ReadOptions(
            names=names, quotes=quotes, separator=separator, encoding=encoding, field=fields_by_split.get(split)
        )
        spec = paths[split]
        if isinstance(spec, Mapping):
            readers[split] = partial(read_parallel_files, dict(zip(spec, files, strict=True)), options)
            continue
        for file in files:
            if format is None and not file.is_dir():
                format_of(file)  # refuses an unknown extension before anything is read
        readers[split] = partial(_concatenated, files, options, format)
    if split_column is None:
        return {split: read_split() for split, read_split in readers.items()}
    if len(readers) > 1:
        raise DataError(
            "dataset.source.split_column divides the training file: leave dataset.source.val and test unset."
        )
    return _split_by_column(readers["train"], split_column)


def resolve(specs: Mapping[str, PathSpec | None], format: str | None) -> dict[str, list[Path]]:
    """Return split -> its files, also those of columns; see `split_paths`."""
    paths = split_paths(
        {split: None if isinstance(spec, Mapping) else spec for split, spec in specs.items()},
        lambda file: format is not None or extension_of(file) in EXTENSIONS_WITH_COLUMNS,
    )
    for split, spec in specs.items():
        if isinstance(spec, Mapping):
            paths[split] = [existing(path) for path in spec.values()]
    return {split: paths[split] for split in SPLITS if split in paths}


def _concatenated(paths: Sequence[Path], options: ReadOptions, format: str | None) -> RowIterator:
    """Yield the rows of these files, one file after the other.

    Raises:
        DataError: a table lacks columns of the first one and has others, as where only that has a header line.
    """
    first_file, columns = "", set[str]()
    for path in paths:
        unchecked = has_same_columns(path, format)
        for row in read_file(path, options, format):
            if unchecked and isinstance(row, Row):
                unchecked = False
                first_file, columns = first_file or str(path), columns or set(row.values)
                if not (columns <= row.values.keys() or columns >= row.values.keys()):
                    raise DataError(
                        f"{path} has the columns {', '.join(row.values)} where {first_file} has "
                        f"{', '.join(sorted(columns))}: give them the same header line, or leave one of them out."
                    )
            yield row


def source_files(source: Mapping[str, Any]) -> list[Path]:
    """Return the files that a source reads if its function is `read`; `read` reports missing ones."""
    if source.get("_target_") != f"{read.__module__}.{read.__name__}":
        return []
    try:
        paths = resolve({split: source.get(split) for split in SPLITS}, source.get("format"))
    except DataError:
        return []
    entries = [path for split in paths.values() for path in split]
    files = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in entries]
    return [path for path in chain.from_iterable(files) if path.is_file()]


def _split_by_column(read_all: Callable[[], RowIterator], column: str) -> dict[str, RowIterator]:
    """Split rows by a column; read them once to see which splits there are, and again for each split."""
    present = {split for split, _ in _with_split(read_all(), column)}

    def rows_of(wanted: str) -> RowIterator:
        return (row for split, row in _with_split(read_all(), column) if split == wanted)

    return {split: rows_of(split) for split in SPLITS if split in present}


def _with_split(rows: RowIterator, column: str) -> Iterator[tuple[str, Row | BadRow]]:
    """Yield the split of each row, and the row."""
    for row in rows:
        if isinstance(row, BadRow):
            yield "train", row
            continue
        if column not in row.values:
            raise DataError(
                f"{row.where}: there is no column {column!r} for dataset.source.split_column: "
                f"{did_you_mean(column, map(str, row.values))}."
            )
        name = str(row.values[column]).strip().lower()
        if name in SPLIT_NAMES:
            yield SPLIT_NAMES[name], row
        else:
            expected = "expected is train, val (or dev) or test"
            yield "train", BadRow(row.where, "unknown split", f"the split is {name!r}, {expected}: fix it")
