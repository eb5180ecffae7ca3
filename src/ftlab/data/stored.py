"""Rows on disk: of data that is large, a few rows are in memory at a time and the others in an Arrow file.

What is small stays in a list. Both are sequences of rows, and nobody who reads them needs to know which it is.
"""

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ftlab.assets import cache_dir
from ftlab.data.made import MadeOnDemand
from ftlab.data.rows import Row
from ftlab.errors import UserError

LARGE = 16 * 2**20  # characters; less than so many stay in memory
FOLDER = "rows"  # of the cache
_ROWS, _CHARACTERS = 1000, 2**20  # of a batch of rows, which is what is in memory; whichever is reached first
_WHERE = "\0where"  # no role has this name

Places = NDArray[np.int64]


class RowFile:
    """An Arrow file of rows; it may be deleted while it is open."""

    def __init__(self, path: Path) -> None:
        """Open the file that `write` wrote.

        Raises:
            OSError, pyarrow.ArrowException: it is not there, or not whole.
        """
        # Read and not mapped: pages of a mapped file count as this process's memory until the system is short of it.
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        with pa.ipc.open_file(pa.memory_map(str(path))) as mapped:  # where their sizes can be seen without the rest
            sizes = [mapped.get_batch(number).num_rows for number in range(mapped.num_record_batches)]
        self._starts: list[int] = np.cumsum([0, *sizes]).tolist()
        self._number = -1
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return int(self._starts[-1])

    def row(self, place: int) -> Row:
        """Return a row; its neighbours are at hand from then on."""
        number = bisect_right(self._starts, place) - 1
        if number != self._number:
            self._number, self._rows = number, self._read(number)
        return self._rows[place - self._starts[number]]

    def _read(self, number: int) -> list[Row]:
        batch = self._reader.get_batch(number)
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        places = columns.pop(_WHERE)
        rows = zip(*columns.values(), strict=True)
        return [
            Row(dict(zip(columns, values, strict=True)), place.decode(errors="surrogateescape"))
            for place, values in zip(places, rows, strict=True)
        ]


class StoredRows(MadeOnDemand[Row]):
    """Rows of a file, all or some, in any order. To go through them in the order of the file is quick."""

    def __init__(self, file: RowFile, places: Places | None = None, change: Callable[[Row], Row] | None = None) -> None:
        """Take these places in the file (None: all), and what becomes of a row when it is read (None: nothing)."""
        self._file = file
        self._places = places
        self._change = change

    def __len__(self) -> int:
        return len(self._file if self._places is None else self._places)

    def _made(self, index: int) -> Row:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        place = index % len(self)
        row = self._file.row(place if self._places is None else int(self._places[place]))
        return row if self._change is None else self._change(row)

    def at(self, places: Places) -> "StoredRows":
        """Return the rows at these places among these rows."""
        return StoredRows(self._file, places if self._places is None else self._places[places], self._change)

    def changed(self, change: Callable[[Row], Row]) -> "StoredRows":
        """Return the same rows, each changed when it is read."""
        before = self._change
        return StoredRows(self._file, self._places, change if before is None else lambda row: change(before(row)))


def at(rows: Sequence[Row], places: Places) -> Sequence[Row]:
    """Return the rows at these places, in this order."""
    return rows.at(places) if isinstance(rows, StoredRows) else [rows[place] for place in places.tolist()]


def changed(rows: Sequence[Row], change: Callable[[Row], Row]) -> Sequence[Row]:
    """Return the rows, each changed."""
    return rows.changed(change) if isinstance(rows, StoredRows) else [change(row) for row in rows]


def gathered(rows: Iterable[Row]) -> Sequence[Row]:
    """Return all of these rows: a list, or when they are many a file in the cache that is gone when nobody reads it.

    Raises:
        UserError: the file cannot be written.
    """
    rows, first, characters = iter(rows), list[Row](), 0
    for row in rows:
        first.append(row)
        characters += size(row)
        if characters >= LARGE:
            break
    else:
        return first
    folder = cache_dir() / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".reading-") as own:
            path = Path(own) / "rows.arrow"
            write(chain(_emptied(first), rows), path)
            return StoredRows(RowFile(path))
    except OSError as error:
        if error.errno is None:  # a library's own use of OSError
            raise
        raise UserError(
            f"the rows do not fit into the cache {folder} ({error.strerror or error}): make room there, or set "
            "FTLAB_CACHE to a folder with room."
        ) from error


def portions(rows: Iterable[Row], most: int, characters: int) -> Iterator[list[Row]]:
    """Yield the rows in lists of so many, or of so many characters, whichever is reached first."""
    waiting: list[Row] = []
    held = 0
    for row in rows:
        waiting.append(row)
        held += size(row)
        if len(waiting) >= most or held >= characters:
            yield waiting
            waiting, held = [], 0
    if waiting:
        yield waiting


def write(rows: Iterable[Row], path: Path) -> None:
    """Write rows that all have the same roles to an Arrow file, a batch at a time; there is one row at least."""
    writer = None
    try:
        for portion in portions(rows, _ROWS, _CHARACTERS):
            writer = _flushed(writer, portion, path)
    finally:
        if writer is not None:
            writer.close()


def size(row: Row) -> int:
    """Return about how many characters a row has; an item of a list counts as eight at least, as it is an object."""
    return sum(
        len(value) if isinstance(value, str) else sum(max(8, len(str(item))) for item in value)
        for value in row.values.values()
    )


def _flushed(writer: Any, rows: Sequence[Row], path: Path) -> Any:
    columns: Mapping[str, pa.Array] = {
        _WHERE: pa.array([row.where.encode(errors="surrogateescape") for row in rows], pa.binary()),
        **{
            role: pa.array([row.values[role] for row in rows], _kind(rows[0].values[role]))
            for role in sorted(rows[0].values)  # whatever their order in a row, all batches have one
        },
    }
    batch = pa.record_batch(columns)
    writer = writer or pa.ipc.new_file(str(path), batch.schema)
    writer.write_batch(batch)
    return writer


def _kind(value: Any) -> pa.DataType:
    return pa.large_string() if isinstance(value, str) else pa.list_(pa.string())


def _emptied(rows: list[Row]) -> Iterator[Row]:
    """Yield the rows and let each go."""
    rows.reverse()
    while rows:
        yield rows.pop()
