"""What a source returns, and how its columns become the roles that a task reads."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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

# From a column's value (of several columns, their names and values), its name and the row's place to text; "": missing.
Reader = Callable[[Any, str, str], str]


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
    rows: Sequence[Row],
    columns: Mapping[str, str | list[str] | None],
    roles: Roles,
    *,
    incomplete: Literal["error", "drop"],
    readers: Mapping[str, Reader] | None = None,
) -> tuple[list[Row], int]:
    """Return the rows with role -> text as their values, and how many were left out because something was missing.

    Args:
        rows: as the source has them.
        columns: role -> column, or several for roles that have a reader.
        roles: of the task.
        incomplete: what becomes of rows that lack something.
        readers: role -> what makes text of values that are none.

    Raises:
        DataError: a column is not there, or a required value is missing or no text, with file and line.
    """
    readers = readers or {}
    mapped = _columns_in_use(columns, roles, readers)
    present = {name for row in rows for name in row.values}
    for role, column in ((role, name) for role, names in mapped.items() for name in _listed(names)):
        if column not in present:
            unset = f", or set dataset.columns.{role}=null" if role in roles.optional else ""
            raise DataError(
                f"{rows[0].where}: there is no column {column!r} for dataset.columns.{role}: "
                f"{did_you_mean(column, map(str, present))}{unset}."
            )
    kept, dropped = [], 0
    for row in rows:
        values = {role: _value(row, column, readers.get(role, _text)) for role, column in mapped.items()}
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


def example_ids(contents: Iterable[str]) -> list[str]:
    """Return 16 hex digits per example, from what is in it: equal across runs, and unique within a split.

    Repeated contents are told apart by their occurrence number.
    """
    seen: dict[str, int] = {}
    ids = []
    for content in contents:
        seen[content] = occurrence = seen.get(content, 0) + 1
        ids.append(hashlib.sha256(f"{occurrence}\t{content}".encode()).hexdigest()[:16])
    return ids


def canonical(values: Mapping[str, Any]) -> str:
    """Return the one JSON text that stands for these values."""
    return json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _columns_in_use(
    columns: Mapping[str, str | list[str] | None], roles: Roles, readers: Mapping[str, Reader]
) -> dict[str, str | list[str]]:
    for role in columns:
        if role not in roles.all:
            raise DataError(f"dataset.columns.{role} is no column of this task: {did_you_mean(role, roles.all)}.")
        names = columns[role]
        if isinstance(names, list) and role not in readers:
            raise DataError(f"dataset.columns.{role}={names} is a list: name the one column with the {role}.")
        if isinstance(names, list) and len(set(names)) < len(names):
            raise DataError(f"dataset.columns.{role}={names} names a column twice: leave one out.")
    in_use = {role: column for role in roles.all if (column := columns.get(role))}
    for role in roles.required:
        if role not in in_use:
            raise DataError(f"dataset.columns.{role} is not set: name the column that holds the {role}.")
    return in_use


def _listed(names: str | list[str]) -> list[str]:
    return names if isinstance(names, list) else [names]


def _value(row: Row, column: str | list[str], read: Reader) -> str:
    if isinstance(column, list):
        return read({name: row.values.get(name) for name in column}, ", ".join(column), row.where)
    value = row.values.get(column)
    return (_text if isinstance(value, Mapping) else read)(value, column, row.where)


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
