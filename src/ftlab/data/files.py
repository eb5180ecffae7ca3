"""A source: the user's own files and folders, in any of the formats of `ftlab.data.formats`."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ftlab.data.formats import FORMATS, Reading, Rows, format_of, read_columns, read_file
from ftlab.data.rows import SPLITS, BadRow, Row
from ftlab.errors import DataError, did_you_mean

Place = str | list[str] | dict[str, str]  # a file or folder; several, one after the other; column -> file, line by line

# What the values of a column that tells the split are called.
_SPLIT_NAMES = {
    **{name: "train" for name in ("train", "training")},
    **{name: "val" for name in ("val", "valid", "validation", "dev", "devel", "development")},
    **{name: "test" for name in ("test", "testing", "eval")},
}


def read(
    train: Place,
    val: Place | None = None,
    test: Place | None = None,
    format: str | None = None,
    names: list[str] | None = None,
    quotes: bool | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    fields: str | dict[str, str] | None = None,
    split_column: str | None = None,
) -> dict[str, Rows]:
    """Read the rows of each split; paths are relative to the working directory.

    Args:
        train: file or folder with the training rows; a list of such; or column -> file, whose lines belong together.
            What has no file of its own is carved from these.
        val: the same for the validation rows.
        test: the same for the test rows.
        format: csv, tsv, json, jsonl, parquet, txt, lines (a text a line) or labelled (a label, a space and a text a
            line); null: as the extension says.
        names: column names of tables without a header line, and of JSON rows that are lists.
        quotes: whether "…" in csv and tsv files encloses a field; null: in csv it does, in tsv it does not.
        separator: between two fields; null: the format's own.
        encoding: e.g. gb18030; null: UTF-8, or else Western European, which is logged.
        fields: key of the rows in a JSON file that is an object; or split -> key, which may share a file.
        split_column: column of the training file that says train, val (dev …) or test of each row.

    Raises:
        DataError: a file is missing, empty or broken; names the file and, where there is one, the line. Of what stands
            in a file that is said when its rows are asked for.
    """
    if format is not None and format not in FORMATS:
        raise DataError(f"dataset.source.format={format} is unknown: {did_you_mean(format, FORMATS)}.")
    by_split = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(SPLITS, fields)
    for split in by_split:
        if split not in SPLITS:
            raise DataError(f"dataset.source.fields.{split} is no split: {did_you_mean(split, SPLITS)}.")
    places = {"train": train, "val": val, "test": test}
    if isinstance(fields, Mapping):  # splits of one file
        places = {split: place or (train if by_split.get(split) else None) for split, place in places.items()}
    readings = {
        split: partial(
            _rows,
            place,
            format,
            Reading(names=names, quotes=quotes, separator=separator, encoding=encoding, field=by_split.get(split)),
        )
        for split, place in places.items()
        if place is not None
    }
    if split_column is None:
        return {split: rows() for split, rows in readings.items()}
    if len(readings) > 1:
        raise DataError("dataset.source.split_column parts the training file: leave dataset.source.val and test unset.")
    return _parted(readings["train"], split_column)


def _rows(place: Place, format: str | None, reading: Reading) -> Rows:
    if isinstance(place, Mapping):
        return read_columns({column: _there(path) for column, path in place.items()}, reading)
    paths = [_there(path) for path in ([place] if isinstance(place, str) else place)]
    if not paths:
        raise DataError("dataset.source names an empty list of files: name one or more.")
    for path in paths:
        if format is None and not path.is_dir():
            format_of(path)  # a wrong name is said before anything is read
    return chain.from_iterable(read_file(path, reading, format) for path in paths)


def used(source: Mapping[str, Any]) -> list[Path]:
    """Return the files that a source reads if it is `read`; those that are not there are left out, `read` says so."""
    if source.get("_target_") != f"{read.__module__}.{read.__name__}":
        return []
    paths = []
    for place in (source.get(split) for split in SPLITS):
        named = (
            [place] if isinstance(place, str) else list(place.values() if isinstance(place, Mapping) else place or [])
        )
        paths += [Path(name).expanduser() for name in named]
    inside = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths]
    return [path for path in chain.from_iterable(inside) if path.is_file()]


def _there(place: str) -> Path:
    path = Path(place).expanduser()
    if not path.exists():
        raise DataError(f"{path} does not exist: give a path that starts in {Path.cwd()}, or a full one.")
    return path


def _parted(again: Callable[[], Rows], column: str) -> dict[str, Rows]:
    """Part rows by what this column says of each; read once to see which splits there are, and again for each."""
    there = {split for split, _ in _told_apart(again(), column)}

    def of(wanted: str) -> Rows:
        return (row for split, row in _told_apart(again(), column) if split == wanted)

    return {split: of(split) for split in SPLITS if split in there}


def _told_apart(rows: Rows, column: str) -> Iterator[tuple[str, Row | BadRow]]:
    """Yield each row with the split that it is in."""
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
        if name in _SPLIT_NAMES:
            yield _SPLIT_NAMES[name], row
        else:
            expected = "expected is train, val (or dev) or test"
            yield "train", BadRow(row.where, "unknown split", f"the split is {name!r}, {expected}: mend it")
