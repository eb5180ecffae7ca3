"""Row, how rows were read, and the hashes that identify rows and examples."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
_HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    Attributes:
        values: column -> value as in the source; after `map_rows`, role -> text, or a list of texts.
        where: location for error messages, e.g. `reviews.csv:17`.
        unlabelled: columns with the class id -1, the mark of `datasets` for no label, in the source; their value is
            None.
    """

    values: Mapping[str, Any]
    where: str
    unlabelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """Placeholder for a row that cannot be used.

    Attributes:
        where: as in `Row`.
        reason: a word or two; such rows are counted by reason.
        message: what is wrong and how to fix it; a clause, since `where` is put before it.
    """

    where: str
    reason: str
    message: str


class UnusableValue(Exception):
    """Raised for a value that a role cannot have: `reason` as in BadRow; the message continues `column 'x' …`.

    It is a clause that says what is wrong, then a colon and the remedy, without a full stop.
    """

    def __init__(self, reason: str, message: str, column: str | None = None) -> None:
        """Take reason and message, and the column if the role has several."""
        super().__init__(message)
        self.reason = reason
        self.column = column


Splits = Mapping[str, Sequence[Row]]  # train, and val and test if the source has them

# Takes the value of a column (of several columns: name -> value) and the column's name; returns text, "" if the value
# is missing. Raises UnusableValue if the role cannot have this value.
Converter = Callable[[Any, str], str]

Columns = Mapping[str, str | list[str] | None]  # role -> column of the source, or several


@dataclass(frozen=True)
class Origin:
    """Report on how the rows of a data set were read.

    Attributes:
        columns: role -> column of the source.
        dropped: reason -> rows that could not be used and were left out.
        notes: lines for the terminal.
        warnings: sentences on rows that could not be used, for a reader of the results.
        carved: splits that were carved from the training rows.
        doubts: sentences on rows that may not mean what was read, and on columns that were not read and may decide
            what is learned; for readers of the results too.
    """

    columns: Mapping[str, str | list[str]] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    carved: Sequence[str] = ()
    doubts: Sequence[str] = ()


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, or what a dotted path leads to; None if there is nothing."""
    if column in values or "." not in column:
        return values.get(column)
    value: Any = values
    for key in column.split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            return None
    return value


def has_column(values: Mapping[str, Any], column: str) -> bool:
    """Return whether there is such a column, or a value at the end of its dotted path."""
    return column in values or value_at(values, column) is not None


def data_hash(splits: Mapping[str, Iterable[Row]]) -> str:
    """Return 64 hex digits of SHA-256 over the rows of every split, in order."""
    digest = hashlib.sha256()
    for split, rows in splits.items():
        for row in rows:
            digest.update(f"{split}\t{canonical_json(row.values)}\n".encode())
    return digest.hexdigest()


class ExampleIds:
    """Generator of example ids: 16 hex digits from the content, equal across runs and unique within a split.

    Examples of equal content differ by their occurrence number.
    """

    def __init__(self) -> None:
        """Start a split."""
        # Only hashes are kept, as contents are as large as the data: in sorted runs that double in length, so that
        # merging them is cheap.
        self._sorted_runs: list[NDArray[np.bytes_]] = []
        self._repeats: Counter[bytes] = Counter()  # hash -> occurrences after the first

    def next_ids(self, contents: Sequence[str]) -> list[str]:
        """Return the ids of the next examples."""
        hashes = [hashlib.blake2b(content.encode(), digest_size=_HASH_BYTES).digest() for content in contents]
        distinct = np.unique(np.frombuffer(b"".join(hashes), f"S{_HASH_BYTES}"))
        seen = set[bytes]()
        for run in self._sorted_runs:
            nearest = run[np.searchsorted(run, distinct).clip(max=len(run) - 1)]
            seen.update(distinct[nearest == distinct].tolist())
        occurrences = []
        for digest in hashes:
            stripped = digest.rstrip(b"\0")  # as NumPy does
            if stripped in seen:
                self._repeats[stripped] += 1
            seen.add(stripped)
            occurrences.append(self._repeats[stripped] + 1 if stripped in self._repeats else 1)
        self._add_run(distinct)
        return [
            hashlib.sha256(f"{occurrence}\t{content}".encode()).hexdigest()[:16]
            for occurrence, content in zip(occurrences, contents, strict=True)
        ]

    def _add_run(self, run: NDArray[np.bytes_]) -> None:
        if not len(run):
            return
        while self._sorted_runs and len(self._sorted_runs[-1]) <= 2 * len(run):
            run = np.union1d(self._sorted_runs.pop(), run)
        self._sorted_runs.append(run)


def example_ids(contents: Iterable[str]) -> list[str]:
    """Return the id of each example of a split; see `ExampleIds`."""
    return ExampleIds().next_ids(list(contents))


def canonical_json(values: Mapping[str, Any]) -> str:
    """Return the canonical JSON of these values: sorted keys, no spaces."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
