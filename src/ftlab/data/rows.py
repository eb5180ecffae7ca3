"""What a source returns, what a task reads of it, and what identifies it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
_HASH = 16  # bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    Attributes:
        values: column -> value as the source has it; after `map_rows`, role -> text, or a list of texts or turns.
        where: place for error messages, e.g. `reviews.csv:17`.
    """

    values: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """What stands in the place of a row that cannot be used.

    Attributes:
        where: as of a row.
        reason: a word or two, under which such rows are counted.
        message: what is wrong and how to mend it; a clause, for `where` goes before it.
    """

    where: str
    reason: str
    message: str


class NotUsable(Exception):
    """A value that a role cannot have: `reason` as in BadRow, and the message goes on from `column 'x' …`."""

    def __init__(self, reason: str, message: str, column: str | None = None) -> None:
        """Take both, and the column where a role has several."""
        super().__init__(message)
        self.reason = reason
        self.column = column


Splits = Mapping[str, Sequence[Row]]  # train and, where the source has them, val and test

# From a column's value (of several columns: name -> value) and its name to text, "" where it is missing.
# Raises NotUsable where the value is none that the role can have.
Reader = Callable[[Any, str], str]

Columns = Mapping[str, str | list[str] | None]  # role -> column of the source, or several


@dataclass(frozen=True)
class Roles:
    """The columns of a task.

    Attributes:
        required: those that it needs.
        optional: those that it may have.
        given: those of them that the model is given.
        conversation: the role of a column that holds whole conversations and, where it is set, stands for all others.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # of them, those with a list of texts
    whole: tuple[str, ...] = ()  # of them, those of which a list is no text in parts, but several
    conversation: str | None = None  # a role that stands for all the required ones: `messages`, a whole conversation

    @property
    def all(self) -> tuple[str, ...]:
        """Every role, required ones first."""
        return self.required + self.optional + ((self.conversation,) if self.conversation else ())


@dataclass(frozen=True)
class Origin:
    """What there is to say of how rows were read.

    Attributes:
        columns: role -> column of the source.
        dropped: reason -> rows that could not be used and were left out.
        notes: lines for those who watch.
        warnings: sentences that a reader of the results should see.
        carved: splits that were dealt out from the training rows.
    """

    columns: Mapping[str, str | list[str]] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    carved: Sequence[str] = ()


def data_hash(splits: Mapping[str, Iterable[Row]]) -> str:
    """Return 64 hex digits of SHA-256 over the rows of every split, in order."""
    digest = hashlib.sha256()
    for split, rows in splits.items():
        for row in rows:
            digest.update(f"{split}\t{canonical(row.values)}\n".encode())
    return digest.hexdigest()


class Ids:
    """Makes 16 hex digits per example, from what is in it: equal across runs, and unique within a split.

    Repeated contents are told apart by their occurrence number.
    """

    def __init__(self) -> None:
        """Begin a split."""
        # By hash: the contents are as large as the data. Sorted, in runs that double in length: merging stays cheap.
        self._runs: list[NDArray[np.bytes_]] = []
        self._again: Counter[bytes] = Counter()  # of what has come up before: how often, after the first time

    def of(self, contents: Sequence[str]) -> list[str]:
        """Return the ids of the next examples."""
        hashes = [hashlib.blake2b(content.encode(), digest_size=_HASH).digest() for content in contents]
        new = np.unique(np.frombuffer(b"".join(hashes), f"S{_HASH}"))
        known = set[bytes]()
        for run in self._runs:
            nearest = run[np.searchsorted(run, new).clip(max=len(run) - 1)]
            known.update(new[nearest == new].tolist())
        numbers = []
        for one in hashes:
            stripped = one.rstrip(b"\0")  # as NumPy has it
            if stripped in known:
                self._again[stripped] += 1
            known.add(stripped)
            numbers.append(self._again[stripped] + 1 if stripped in self._again else 1)
        self._keep(new)
        return [
            hashlib.sha256(f"{number}\t{content}".encode()).hexdigest()[:16]
            for number, content in zip(numbers, contents, strict=True)
        ]

    def _keep(self, new: NDArray[np.bytes_]) -> None:
        if not len(new):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(new):
            new = np.union1d(self._runs.pop(), new)
        self._runs.append(new)


def example_ids(contents: Iterable[str]) -> list[str]:
    """Return the id of each example of a split, see `Ids`."""
    return Ids().of(list(contents))


def canonical(values: Mapping[str, Any]) -> str:
    """Return the one JSON text that stands for these values."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
