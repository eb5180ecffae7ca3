"""How the columns of a source become the roles that a task reads, and what becomes of rows that do not."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from textwrap import shorten
from typing import Any, Literal

from ftlab.data.conversations import turns
from ftlab.data.rows import BadRow, Columns, NotUsable, Reader, Roles, Row
from ftlab.data.turns import as_text
from ftlab.errors import DataError, did_you_mean

_SHOWN = 3  # bad rows that a warning names
_WIDTH = 120  # characters on each


class BadRows:
    """What becomes of rows that cannot be used: the first stops the program, or all are left out and counted.

    Attributes:
        dropped: reason -> rows left out.
        warnings: a sentence on the first few of them.
    """

    def __init__(self, on_bad_rows: Literal["error", "skip"]) -> None:
        """Take what is to be done."""
        self.dropped: Counter[str] = Counter()
        self._skip = on_bad_rows == "skip"
        self._first: list[str] = []

    def meet(self, row: BadRow) -> None:
        """Leave this row out, or stop.

        Raises:
            DataError: rows are not to be left out.
        """
        if not self._skip:
            raise DataError(f"{row.where}: {row.message}, or set dataset.on_bad_rows=skip to leave such rows out.")
        self.dropped[row.reason] += 1
        if len(self._first) < _SHOWN:
            self._first.append(f"{row.where}: {shorten(row.message.partition(': ')[0], width=_WIDTH)}")

    def told(self) -> str:
        """Return how many rows were left out for which reason."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items())

    @property
    def warnings(self) -> list[str]:
        """One sentence with the places of the first few, if rows were left out."""
        if not self._first:
            return []
        more = "; …" if self.dropped.total() > len(self._first) else ""
        return [f"{self.dropped.total()} bad rows were left out: {'; '.join(self._first)}{more}"]


def map_rows(
    rows: Iterable[Row | BadRow],
    columns: Columns,
    roles: Roles,
    bad: BadRows,
    readers: Mapping[str, Reader] | None = None,
) -> Iterator[Row]:
    """Yield the rows with role -> text as their values.

    Args:
        rows: with column -> value.
        columns: role -> column, or several for a role that has a reader; a dotted path leads into a value:
            `instances.0.output`.
        roles: those of the task.
        bad: is shown the rows in which something is missing or no text.
        readers: role -> what makes text of values that are none.

    Raises:
        DataError: a column is in none of the rows, with file and line; or a row is bad and `bad` stops at it.
    """
    readers = readers or {}
    mapped = _columns_in_use(columns, roles, readers)
    for row in _known_columns(rows, mapped, roles):
        found = row if isinstance(row, BadRow) else _mapped(row, mapped, roles, readers)
        if isinstance(found, BadRow):
            bad.meet(found)
        else:
            yield found


def _columns_in_use(columns: Columns, roles: Roles, readers: Mapping[str, Reader]) -> dict[str, str | list[str]]:
    for role, names in columns.items():
        if role not in roles.all:
            raise DataError(f"dataset.columns.{role} is no column of this task: {did_you_mean(role, roles.all)}.")
        if isinstance(names, list) and role not in readers:
            raise DataError(f"dataset.columns.{role}={names} is a list: name the one column with the {role}.")
        if isinstance(names, list) and len(set(names)) < len(names):
            raise DataError(f"dataset.columns.{role}={names} names a column twice: leave one out.")
    in_use = {role: column for role in roles.all if (column := columns.get(role))}
    if roles.conversation in in_use:
        if both := [role for role in roles.required if role in in_use]:
            raise DataError(
                f"dataset.columns.{roles.conversation} and {both[0]} are both set: set one of them to null."
            )
        return {roles.conversation: in_use[roles.conversation]}
    for role in roles.required:
        if role not in in_use:
            raise DataError(f"dataset.columns.{role} is not set: name the column that holds the {role}.")
    return in_use


def _known_columns(
    rows: Iterable[Row | BadRow], mapped: Mapping[str, str | list[str]], roles: Roles
) -> Iterator[Row | BadRow]:
    """Yield the rows when each column was seen in one of them, which mostly is the first; the last may be the one."""
    waiting: list[Row | BadRow] = []
    unseen = [(role, column) for role, names in mapped.items() for column in _listed(names)]
    present = set[str]()
    rows = iter(rows)
    for row in rows:
        waiting.append(row)
        if isinstance(row, Row):
            present.update(map(str, row.values))
            unseen = [(role, column) for role, column in unseen if not has(row.values, column)]
            if not unseen:
                break
    first = next((row for row in waiting if isinstance(row, Row)), None)
    if unseen and first is not None:
        role, column = unseen[0]
        unset = f", or set dataset.columns.{role}=null" if role in roles.optional else ""
        raise DataError(
            f"{first.where}: there is no column {column!r} for dataset.columns.{role}: "
            f"{did_you_mean(column, present)}{unset}."
        )
    yield from waiting
    yield from rows


def _mapped(
    row: Row, mapped: Mapping[str, str | list[str]], roles: Roles, readers: Mapping[str, Reader]
) -> Row | BadRow:
    values: dict[str, Any] = {}
    for role, names in mapped.items():
        try:
            values[role] = _value(role, row.values, names, roles, readers.get(role))
        except NotUsable as error:
            return BadRow(row.where, error.reason, f"column {error.column or _named(names)!r} {error}")
    needed = [role for role in mapped if role in (*roles.required, roles.conversation)]
    missing = next((role for role in needed if not values[role] or str(values[role]).isspace()), None)
    if missing is None:
        return _unequal(values, row.where, [role for role in roles.lists if role in mapped]) or Row(values, row.where)
    names = mapped[missing]
    held = None if isinstance(names, list) else value_at(row.values, names)
    state = "holds NaN" if isinstance(held, float) else "is empty"
    return BadRow(row.where, "incomplete", f"this row has no {missing} (column {_named(names)!r} {state}): mend it")


def _unequal(values: Mapping[str, Any], where: str, lists: list[str]) -> BadRow | None:
    """Return what is wrong with lists that do not go together item by item."""
    counts = [len(values[role]) for role in lists]
    if len(set(counts)) < 2:
        return None
    held = " and ".join(f"{count} {role}" for count, role in zip(counts, lists, strict=True))
    return BadRow(where, "unequal lists", f"this row has {held}: give each word one tag")


def _value(role: str, row: Mapping[str, Any], names: str | list[str], roles: Roles, read: Reader | None) -> Any:
    if isinstance(names, list):
        assert read is not None
        return read({name: value_at(row, name) for name in names}, _named(names))
    value = value_at(row, names)
    if role == roles.conversation:
        found = turns(value, row)
        return as_text(found) if found else ""
    if role in roles.lists:
        return _texts(value)
    if read is not None and not isinstance(value, Mapping):
        return read(value, names)
    if isinstance(value, list) and value and role not in roles.whole and all(isinstance(part, str) for part in value):
        value = " ".join(value)  # sentences of a text
    return _text(value)


def _listed(names: str | list[str]) -> list[str]:
    return names if isinstance(names, list) else [names]


def _named(names: str | list[str]) -> str:
    return ", ".join(_listed(names))


def value_at(values: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column, or what a dotted path leads to; None where there is nothing."""
    if column in values or "." not in column:
        return values.get(column)
    found: Any = values
    for step in column.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit():
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


def has(values: Mapping[str, Any], column: str) -> bool:
    """Return whether there is such a column, or something where its dotted path leads."""
    return column in values or value_at(values, column) is not None


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise NotUsable("no list", f"holds {_kind(value)} where a list is needed, with an item for each word")
    return [_text(item) for item in value]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 in one file and 1 in the next are the same label
    text = value if isinstance(value, str) else str(value)
    if not isinstance(value, str | int | float):
        raise NotUsable("no text", f"holds {_kind(value)} where text is needed: name another column")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotUsable("no text", "holds half of a surrogate pair, which is no text: mend it") from None
    return text


def _kind(value: Any) -> str:
    return {"list": "a list", "dict": "an object", "bytes": "bytes", "str": "text"}.get(
        type(value).__name__, type(value).__name__
    )
