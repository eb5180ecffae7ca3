"""What a source returns, and how its columns become the roles that a task reads."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftlab.errors import DataError, did_you_mean

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    Attributes:
        values: column -> value as the source has it; after `map_rows`, role -> text.
        where: place for error messages, e.g. `reviews.csv:17`.
    """

    values: Mapping[str, Any]
    where: str


Splits = dict[str, list[Row]]  # train and, where the source has them, val and test


@dataclass(frozen=True)
class Roles:
    """The columns of a task: which it needs, which it may have, and which of them are what the model is given."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every role, required ones first."""
        return self.required + self.optional


def map_rows(
    rows: Sequence[Row], columns: Mapping[str, str | None], roles: Roles, *, incomplete: Literal["error", "drop"]
) -> tuple[list[Row], int]:
    """Return the rows with role -> text as their values, and how many were left out because something was missing.

    Raises:
        DataError: a column is not there, or a required value is missing or no text, with file and line.
    """
    mapped = _columns_in_use(columns, roles)
    present = {name for row in rows for name in row.values}
    for role, column in mapped.items():
        if column not in present:
            unset = f", or set dataset.columns.{role}=null" if role in roles.optional else ""
            raise DataError(
                f"{rows[0].where}: there is no column {column!r} for dataset.columns.{role}: "
                f"{did_you_mean(column, map(str, present))}{unset}."
            )
    kept, dropped = [], 0
    for row in rows:
        values = {role: _text(row.values.get(column), column, row.where) for role, column in mapped.items()}
        missing = [role for role in roles.required if not values[role].strip()]
        if not missing:
            kept.append(Row(values, row.where))
        elif incomplete == "drop":
            dropped += 1
        else:
            raise DataError(
                f"{row.where}: this row has no {missing[0]} (column {mapped[missing[0]]!r} is empty): "
                "mend it, or set dataset.incomplete=drop to leave such rows out."
            )
    return kept, dropped


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
        self._seen: Counter[bytes] = Counter()  # by hash: the contents are as large as the data

    def of(self, content: str) -> str:
        """Return the id of the next example."""
        known_by = hashlib.blake2b(content.encode(), digest_size=16).digest()
        self._seen[known_by] += 1
        return hashlib.sha256(f"{self._seen[known_by]}\t{content}".encode()).hexdigest()[:16]


def example_ids(contents: Iterable[str]) -> list[str]:
    """Return the id of each example of a split, see `Ids`."""
    return list(map(Ids().of, contents))


def canonical(values: Mapping[str, Any]) -> str:
    """Return the one JSON text that stands for these values."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _columns_in_use(columns: Mapping[str, str | None], roles: Roles) -> dict[str, str]:
    for role in columns:
        if role not in roles.all:
            raise DataError(f"dataset.columns.{role} is no column of this task: {did_you_mean(role, roles.all)}.")
    in_use = {role: column for role in roles.all if (column := columns.get(role))}
    for role in roles.required:
        if role not in in_use:
            raise DataError(f"dataset.columns.{role} is not set: name the column that holds the {role}.")
    return in_use


def _text(value: Any, column: str, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 in one file and 1 in the next are the same label
    text = value if isinstance(value, str) else str(value)
    if not isinstance(value, str | int | float):
        raise DataError(f"{where}: column {column!r} holds {_kind(value)} where text is needed: name another column.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: column {column!r} holds half of a surrogate pair, which is no text: mend it."
        ) from None
    return text


def _kind(value: Any) -> str:
    return {"list": "a list", "dict": "an object", "bytes": "bytes"}.get(type(value).__name__, type(value).__name__)
