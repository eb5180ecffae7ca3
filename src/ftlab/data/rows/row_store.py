"""Row store: rows of large data sets are in an Arrow file on disk, and a few at a time in memory.

Small data sets stay in a list. Both are sequences of rows, so that code which reads them need not know the difference.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ftlab.core.atomic import temporary_folder
from ftlab.core.downloads import cache_dir
from ftlab.core.errors import UserError, reason
from ftlab.data.rows.lazy_sequence import LazySequence
from ftlab.data.rows.row import Row

MAX_IN_MEMORY = 16 * 2**20  # characters; a larger data set goes to disk
ROWS_FOLDER = "rows"  # of the cache
_BATCH_ROWS, _BATCH_CHARACTERS = 1000, 2**20  # limits of an Arrow batch, which is the unit that is read into memory
_WHERE, _OTHER = "\0where", "\0other"  # no role has these names

RowIndices = NDArray[np.int64]


class RowFile:
    """An Arrow file of rows; it may be deleted while it is open."""

    def __init__(self, path: Path) -> None:
        """Open a file that `write_rows` wrote.

        Raises:
            OSError, pyarrow.ArrowException: the file does not exist or is incomplete.
        """
        # Read, not mapped: pages of a mapped file count as this process's memory until the system is short of it.
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        with pa.ipc.open_file(pa.memory_map(str(path))) as mapped:  # gives the sizes without reading the rows
            sizes = [mapped.get_batch(number).num_rows for number in range(mapped.num_record_batches)]
        self._starts: list[int] = np.cumsum([0, *sizes]).tolist()  # of the batches
        self._batch = -1  # number of the batch in memory
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return int(self._starts[-1])

    def row(self, index: int) -> Row:
        """Return a row; its whole batch is in memory afterwards."""
        batch = bisect_right(self._starts, index) - 1
        if batch != self._batch:
            self._batch, self._rows = batch, self._read(batch)
        return self._rows[index - self._starts[batch]]

    def _read(self, number: int) -> list[Row]:
        batch = self._reader.get_batch(number)
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        locations, others = columns.pop(_WHERE), columns.pop(_OTHER)
        rows = zip(*columns.values(), strict=True)
        return [
            Row(_present(zip(columns, values, strict=True), other), where.decode(errors="surrogateescape"))
            for where, other, values in zip(locations, others, rows, strict=True)
        ]


class StoredRows(LazySequence[Row]):
    """Rows of a file, all or some, in any order. Reading them in the order of the file is fast."""

    def __init__(
        self, file: RowFile, indices: RowIndices | None = None, transform: Callable[[Row], Row] | None = None
    ) -> None:
        """Take the rows at these indices of the file (None: all); `transform` changes each row when it is read."""
        self._file = file
        self._indices = indices
        self._transform = transform

    def __len__(self) -> int:
        return len(self._file if self._indices is None else self._indices)

    def _element(self, index: int) -> Row:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        row = self._file.row(index if self._indices is None else int(self._indices[index]))
        return row if self._transform is None else self._transform(row)

    def select(self, indices: RowIndices) -> "StoredRows":
        """Return the rows at these indices of this sequence."""
        return StoredRows(self._file, indices if self._indices is None else self._indices[indices], self._transform)

    def with_transform(self, transform: Callable[[Row], Row]) -> "StoredRows":
        """Return the same rows, each changed when it is read."""
        before = self._transform
        both = transform if before is None else lambda row: transform(before(row))
        return StoredRows(self._file, self._indices, both)


def select_rows(rows: Sequence[Row], indices: RowIndices) -> Sequence[Row]:
    """Return the rows at these indices, in this order."""
    return rows.select(indices) if isinstance(rows, StoredRows) else [rows[index] for index in indices.tolist()]


def with_transform(rows: Sequence[Row], transform: Callable[[Row], Row]) -> Sequence[Row]:
    """Return the rows, each changed."""
    return rows.with_transform(transform) if isinstance(rows, StoredRows) else [transform(row) for row in rows]


def collect_rows(rows: Iterable[Row]) -> Sequence[Row]:
    """Return all of these rows: in a list, or if they are large in a temporary file of the cache.

    The file is deleted at once, and its disk space is free when the last reader closes it.

    Raises:
        UserError: the file cannot be written.
    """
    rows, first, characters = iter(rows), list[Row](), 0
    for row in rows:
        first.append(row)
        characters += num_characters(row)
        if characters >= MAX_IN_MEMORY:
            break
    else:
        return first
    folder = cache_dir() / ROWS_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            path = temporary / "rows.arrow"
            write_rows(chain(_pop_all(first), rows), path)
            return StoredRows(RowFile(path))
    except OSError as error:
        if error.errno is None:  # raised by a library, not by the operating system
            raise
        raise UserError(
            f"the rows do not fit into the cache {folder} ({reason(error, named=folder)}): free some space there, or "
            "set FTLAB_CACHE to a folder with enough space."
        ) from error


def row_chunks(
    rows: Iterable[Row], max_rows: int, max_characters: int, advance: Callable[[int], None] = lambda _: None
) -> Iterator[list[Row]]:
    """Yield the rows in lists; a list ends when it has reached one of the two limits.

    `advance` is called with the length of each list when the next one is asked for.
    """
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += num_characters(row)
        if len(chunk) >= max_rows or characters >= max_characters:
            yield chunk
            advance(len(chunk))
            chunk, characters = [], 0
    if chunk:
        yield chunk
        advance(len(chunk))


def write_rows(rows: Iterable[Row], path: Path) -> None:
    """Write rows to an Arrow file, batch by batch; there must be at least one row.

    Roles of the first row are columns of the file; those that only other rows have are JSON in a column of its own.
    """
    writer, roles = None, dict[str, pa.DataType]()
    try:
        for chunk in row_chunks(rows, _BATCH_ROWS, _BATCH_CHARACTERS):
            roles = roles or {role: _arrow_type(value) for role, value in sorted(chunk[0].values.items())}
            writer = _write_batch(writer, chunk, roles, path)
    finally:
        if writer is not None:
            writer.close()


def num_characters(row: Row) -> int:
    """Return the approximate size of a row; an item of a list counts as at least 8 characters, as it is an object."""
    return sum(
        len(value) if isinstance(value, str) else sum(max(8, len(str(item))) for item in value)
        for value in row.values.values()
    )


def _write_batch(writer: Any, rows: Sequence[Row], roles: Mapping[str, pa.DataType], path: Path) -> Any:
    """Write one batch and return the writer; the first call (None) opens the file."""
    others = [{role: value for role, value in row.values.items() if role not in roles} for row in rows]
    columns: Mapping[str, pa.Array] = {
        _WHERE: pa.array([row.where.encode(errors="surrogateescape") for row in rows], pa.binary()),
        _OTHER: pa.array([json.dumps(other) if other else None for other in others], pa.large_string()),
        **{role: pa.array([row.values.get(role) for row in rows], arrow_type) for role, arrow_type in roles.items()},
    }
    batch = pa.record_batch(columns)
    writer = writer or pa.ipc.new_file(str(path), batch.schema)
    writer.write_batch(batch)
    return writer


def _present(values: Iterable[tuple[str, Any]], other: str | None) -> dict[str, Any]:
    """Return the roles that a row has, with those that the first row of the file lacks."""
    present = {role: value for role, value in values if value is not None}
    return present | json.loads(other) if other else present


def _arrow_type(value: Any) -> pa.DataType:
    return pa.large_string() if isinstance(value, str) else pa.list_(pa.string())


def _pop_all(rows: list[Row]) -> Iterator[Row]:
    """Yield the rows in order and remove each from the list, to free its memory."""
    rows.reverse()
    while rows:
        yield rows.pop()
