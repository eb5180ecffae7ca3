"""Tokenized examples of a split, in memory or in a memory-mapped Arrow file."""

import mmap
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftlab.data.encoding.example import Counts, Example, Tokens
from ftlab.data.rows.lazy_sequence import LazySequence
from ftlab.data.rows.row import ExampleIds

_FIELDS = tuple(part.name for part in fields(Example))
_COUNTS = ("length", "num_loss_tokens")
_RELEASE_EVERY = 512  # examples that are read before the mapped pages are released


@dataclass(frozen=True)
class EncodedRows:
    """The examples of some rows, and the number of rows that were truncated or dropped to fit max_length.

    Attributes:
        examples: the tokenized examples.
        contents: a text that identifies each example, hashed into its id.
        truncated: number of rows that lost tokens, dropped rows included; None if the tokenizer does not report it.
        dropped: reason -> number of dropped rows.
    """

    examples: list[Example]
    contents: list[str]
    truncated: int | None
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class SplitSummary:
    """Statistics of the rows of a split.

    Attributes:
        truncated: see `EncodedRows`.
        dropped: see `EncodedRows`.
        unknown: number of unknown tokens, and of all tokens except special tokens.
    """

    truncated: int | None
    dropped: Mapping[str, int]
    unknown: tuple[int, int]

    @property
    def unknown_share(self) -> float:
        """Fraction of unknown tokens."""
        unknown, tokens = self.unknown
        return unknown / tokens if tokens else 0.0

    @property
    def reasons(self) -> str:
        """The reasons why rows were dropped, with their counts, as text for a message."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items() if count) or "too little text"


@dataclass(frozen=True)
class TokenizedSplit:
    """A tokenized split, as the data loaders read it.

    Attributes:
        examples: the tokenized examples.
        ids: function that returns the id of each example.
        lengths: number of tokens of each example, (examples,).
        num_loss_tokens: number of tokens with a loss of each example, (examples,).
        summary: statistics of its rows.
    """

    examples: Sequence[Example]
    ids: Callable[[], list[str]]
    lengths: Counts
    num_loss_tokens: Counts
    summary: SplitSummary


class SplitCounter:
    """Accumulates the statistics of a split, chunk by chunk."""

    def __init__(
        self, num_loss_tokens: Callable[[Example], int], unknown: Callable[[Sequence[Tokens]], tuple[int, int]]
    ) -> None:
        """Start with an empty split.

        Args:
            num_loss_tokens: returns the number of tokens with a loss of an example.
            unknown: returns the number of unknown tokens among token ids, and of all tokens except special tokens.
        """
        self._count_loss_tokens, self._count_unknown = num_loss_tokens, unknown
        self._ids = ExampleIds()
        self._truncated: int | None = 0
        self._dropped: Counter[str] = Counter()
        self._unknown = (0, 0)

    def count(self, chunk: EncodedRows) -> dict[str, Any]:
        """Count one chunk; return the id, length and number of tokens with a loss of each example."""
        is_reported = self._truncated is not None and chunk.truncated is not None
        self._truncated = (self._truncated or 0) + (chunk.truncated or 0) if is_reported else None
        self._dropped.update(chunk.dropped)
        ids = [example.input_ids for example in chunk.examples]
        unknown, total = self._count_unknown(ids)
        self._unknown = (self._unknown[0] + unknown, self._unknown[1] + total)
        return {
            "id": self._ids.next_ids(chunk.contents),
            "length": np.array([len(tokens) for tokens in ids], np.int32),
            "num_loss_tokens": np.array([self._count_loss_tokens(example) for example in chunk.examples], np.int32),
        }

    def summary(self) -> SplitSummary:
        """Return the statistics of all chunks so far."""
        return SplitSummary(self._truncated, dict(self._dropped), self._unknown)


def split_in_memory(chunks: Iterable[EncodedRows], counter: SplitCounter) -> TokenizedSplit:
    """Return a split whose examples are Python objects in memory."""
    examples: list[Example] = []
    counted = []
    for chunk in chunks:
        counted.append(counter.count(chunk))
        examples += chunk.examples
    ids = [example_id for columns in counted for example_id in columns["id"]]
    lengths, num_loss_tokens = (
        np.concatenate([columns[name] for columns in counted]) for name in ("length", "num_loss_tokens")
    )
    return TokenizedSplit(examples, lambda: ids, lengths, num_loss_tokens, counter.summary())


def empty_split(summary: SplitSummary) -> TokenizedSplit:
    """Return a split without examples."""
    return TokenizedSplit([], list, np.empty(0, np.int32), np.empty(0, np.int32), summary)


class StoredExamples(LazySequence[Example]):
    """Examples in a memory-mapped Arrow file; pages are read on access and released again."""

    def __init__(self, path: Path) -> None:
        """Map the file that `write_split` wrote.

        Raises:
            OSError, pyarrow.ArrowException: the file is missing or incomplete.
        """
        self._path = path
        self._open()

    def _open(self) -> None:
        with self._path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._reads = 0
        reader = pa.ipc.open_file(pa.py_buffer(self._map))
        self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        for batch in self._batches:
            batch.validate()
        self._starts = np.cumsum([0, *(batch.num_rows for batch in self._batches)]).tolist()
        self._readers = [{name: _reader(batch.column(name)) for name in _FIELDS} for batch in self._batches]

    def column(self, name: str) -> list[pa.Array]:
        """Return a column of the file, one array per record batch."""
        return [batch.column(name) for batch in self._batches]

    def ids(self) -> list[str]:
        """Return the id of each example."""
        return [example_id for array in self.column("id") for example_id in array.to_pylist()]

    def __getstate__(self) -> Path:
        return self._path  # each DataLoader worker maps the file itself

    def __setstate__(self, path: Path) -> None:
        self._path = path
        self._open()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _element(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(index)
        self._reads += 1
        if self._reads % _RELEASE_EVERY == 0 and hasattr(mmap, "MADV_DONTNEED"):
            # Pages that were read count as memory of this process, so its size would grow during training. Released
            # pages stay in the page cache of the system while there is room.
            self._map.madvise(mmap.MADV_DONTNEED)
        batch = bisect_right(self._starts, index) - 1
        row = index - self._starts[batch]
        return Example(**{name: value(row) for name, value in self._readers[batch].items()})


def write_split(chunks: Iterable[EncodedRows], counter: SplitCounter, path: Path) -> SplitSummary:
    """Write the examples of a split to an Arrow file, chunk by chunk; without examples no file is written."""
    writer = None
    try:
        for chunk in chunks:
            counted = counter.count(chunk)
            if chunk.examples:
                columns = {name: _column([getattr(example, name) for example in chunk.examples]) for name in _FIELDS}
                batch = pa.record_batch({**columns, **counted})
                writer = writer or pa.ipc.new_file(str(path), batch.schema)
                writer.write_batch(batch)
    finally:
        if writer:
            writer.close()
    return counter.summary()


def read_split(path: Path, summary: SplitSummary) -> TokenizedSplit:
    """Return the split that `write_split` wrote.

    Raises:
        OSError, pyarrow.ArrowException: the file is missing or incomplete.
    """
    examples = StoredExamples(path)
    lengths, num_loss_tokens = (
        np.concatenate([array.to_numpy() for array in examples.column(name)]) for name in _COUNTS
    )
    return TokenizedSplit(examples, examples.ids, lengths, num_loss_tokens, summary)


def _column(values: list[Any]) -> pa.Array:
    if isinstance(values[0], np.ndarray):
        offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(values)))
    return pa.array(values)


def _reader(column: pa.Array) -> Callable[[int], Any]:
    """Return a function that reads one row of a column: a plain value, or a list as an array without a copy."""
    if not pa.types.is_list(column.type):
        return lambda row: column[row].as_py()
    values, offsets = column.values.to_numpy(zero_copy_only=True), column.offsets.to_numpy(zero_copy_only=True)
    return lambda row: values[offsets[row] : offsets[row + 1]]
