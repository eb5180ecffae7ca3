"""Tokenized examples of a split: in memory, or in an Arrow file that is mapped into it."""

import mmap
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftlab.data.collate import Example, Tokens
from ftlab.data.dealing import Counts
from ftlab.data.made import MadeOnDemand
from ftlab.data.rows import Ids

_FIELDS = tuple(part.name for part in fields(Example))
_COUNTS = ("length", "learned")
_LET_GO = 512  # examples that are looked at before the pages of the file are let go


@dataclass(frozen=True)
class Encoded:
    """The examples of some rows, and how many of these were cut or left out to fit max_length.

    Attributes:
        examples: what the model sees.
        contents: what each example is, for its id.
        truncated: rows that lost tokens, whether or not they were left out; null where the tokenizer does not tell.
        dropped: reason -> rows left out.
    """

    examples: list[Example]
    contents: list[str]
    truncated: int | None
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class Summary:
    """What happened to the rows of a split.

    Attributes:
        truncated: see `Encoded`.
        dropped: see `Encoded`.
        unknown: tokens that the tokenizer does not know, and all tokens but control tokens.
    """

    truncated: int | None
    dropped: Mapping[str, int]
    unknown: tuple[int, int]

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that the tokenizer does not know."""
        unknown, tokens = self.unknown
        return unknown / tokens if tokens else 0.0

    @property
    def reasons(self) -> str:
        """Why rows were dropped, in words."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items() if count) or "too little text"


@dataclass(frozen=True)
class Tokenized:
    """A split as the loaders read it.

    Attributes:
        examples: what the model sees.
        ids: returns the id of each example.
        lengths: tokens of each, (examples,).
        learned: labelled tokens of each, (examples,).
        summary: of its rows.
    """

    examples: Sequence[Example]
    ids: Callable[[], list[str]]
    lengths: Counts
    learned: Counts
    summary: Summary


class Tally:
    """Counts while portions of examples go by."""

    def __init__(
        self, learned: Callable[[Example], int], unknown: Callable[[Sequence[Tokens]], tuple[int, int]]
    ) -> None:
        """Begin a split.

        Args:
            learned: how many tokens of an example are labelled.
            unknown: of these token ids, how many the tokenizer does not know, and how many are no control tokens.
        """
        self._learned_of, self._unknown_of = learned, unknown
        self._ids = Ids()
        self._truncated: int | None = 0
        self._dropped: Counter[str] = Counter()
        self._unknown = (0, 0)

    def count(self, portion: Encoded) -> dict[str, Any]:
        """Count one portion in; return the id, length and number of labelled tokens of each example."""
        known = self._truncated is not None and portion.truncated is not None
        self._truncated = (self._truncated or 0) + (portion.truncated or 0) if known else None
        self._dropped.update(portion.dropped)
        ids = [example.input_ids for example in portion.examples]
        odd, of = self._unknown_of(ids)
        self._unknown = (self._unknown[0] + odd, self._unknown[1] + of)
        return {
            "id": self._ids.of(portion.contents),
            "length": np.array([len(tokens) for tokens in ids], np.int32),
            "learned": np.array([self._learned_of(example) for example in portion.examples], np.int32),
        }

    def summary(self) -> Summary:
        """Return what was counted of the rows."""
        return Summary(self._truncated, dict(self._dropped), self._unknown)


def in_memory(portions: Iterable[Encoded], tally: Tally) -> Tokenized:
    """Return a split whose examples are Python objects."""
    examples: list[Example] = []
    counted = []
    for portion in portions:
        counted.append(tally.count(portion))
        examples += portion.examples
    ids = [one for part in counted for one in part["id"]]
    lengths, learned = (np.concatenate([part[name] for part in counted]) for name in ("length", "learned"))
    return Tokenized(examples, lambda: ids, lengths, learned, tally.summary())


def none(summary: Summary) -> Tokenized:
    """Return a split of which no row was left."""
    return Tokenized([], list, np.empty(0, np.int32), np.empty(0, np.int32), summary)


class StoredExamples(MadeOnDemand[Example]):
    """Examples in an Arrow file; what is not looked at is not in memory, and what is, the system may let go again."""

    def __init__(self, path: Path) -> None:
        """Map the file that `write` wrote.

        Raises:
            OSError, pyarrow.ArrowException: it is not there, or not whole.
        """
        self._path = path
        self._open()

    def _open(self) -> None:
        with self._path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._looked = 0
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        for batch in self._batches:
            batch.validate()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)]).tolist()
        self._readers = [{name: _reader(batch.column(name)) for name in _FIELDS} for batch in self._batches]

    def column(self, name: str) -> list[pa.Array]:
        """Return a column of the file, in the pieces in which it was written."""
        return [batch.column(name) for batch in self._batches]

    def ids(self) -> list[str]:
        """Return the id of each example."""
        return [one for part in self.column("id") for one in part.to_pylist()]

    def __getstate__(self) -> Path:
        return self._path  # a process that loads batches maps the file itself

    def __setstate__(self, path: Path) -> None:
        self._path = path
        self._open()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _made(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._looked += 1
        if self._looked % _LET_GO == 0 and hasattr(mmap, "MADV_DONTNEED"):
            # Pages that were looked at count as this process's memory, and the more the longer it trains. They stay in
            # the system's cache while there is room.
            self._map.madvise(mmap.MADV_DONTNEED)
        batch = bisect_right(self._starts, index) - 1
        row = index - self._starts[batch]
        return Example(**{name: value(row) for name, value in self._readers[batch].items()})


def write(portions: Iterable[Encoded], tally: Tally, path: Path) -> Summary:
    """Write the examples of a split to an Arrow file, a portion at a time; without any there is no file."""
    writer = None
    try:
        for portion in portions:
            counted = tally.count(portion)
            if portion.examples:
                columns = {name: _column([getattr(example, name) for example in portion.examples]) for name in _FIELDS}
                batch = pa.record_batch({**columns, **counted})
                writer = writer or pa.ipc.new_file(str(path), batch.schema)
                writer.write_batch(batch)
    finally:
        if writer:
            writer.close()
    return tally.summary()


def read(path: Path, summary: Summary) -> Tokenized:
    """Return the split that `write` wrote.

    Raises:
        OSError, pyarrow.ArrowException: the file is not there, or not whole.
    """
    examples = StoredExamples(path)
    lengths, learned = (np.concatenate([part.to_numpy() for part in examples.column(name)]) for name in _COUNTS)
    return Tokenized(examples, examples.ids, lengths, learned, summary)


def _column(values: list[Any]) -> pa.Array:
    if isinstance(values[0], np.ndarray):
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(values)))
    return pa.array(values)


def _reader(column: pa.Array) -> Callable[[int], Any]:
    """Return what reads one row of a column: plain values, and lists as arrays that share the file's memory."""
    if not pa.types.is_list(column.type):
        return lambda row: column[row].as_py()
    values, offsets = column.values.to_numpy(zero_copy_only=True), column.offsets.to_numpy(zero_copy_only=True)
    return lambda row: values[offsets[row] : offsets[row + 1]]
