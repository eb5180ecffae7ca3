"""Mapping of a source's columns to the roles that a task reads; rows that cannot be mapped are refused or left out."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from textwrap import shorten
from types import MappingProxyType
from typing import Any, Literal

from ftlab.config.task_kind import REFERENCES, Roles
from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.conversations import SYSTEM_COLUMNS, parse_conversation, turns_at
from ftlab.data.rows.list_texts import parse_list_text
from ftlab.data.rows.references import distinct, read_reference_column, read_references
from ftlab.data.rows.row import BadRow, Columns, Converter, Row, UnusableValue, has_column, value_at
from ftlab.data.rows.unread import UnreadFields

_SYSTEM = "system"  # sparse role that a conversation has too
_MAX_ROWS_SHOWN = 3  # bad rows that a warning names
_WIDTH = 120  # characters for each of them
# `datasets` turns the texts of a JSON file into dates, not to be undone, if all of them look like dates.
_DATE_REMEDY = (
    "name another column, or download the file from the hub and read it with dataset.source._target_="
    "ftlab.data.sources.files.read and dataset.source.train=FILE, which leaves texts as they are; in Parquet, save it "
    "as text"
)


class BadRowHandler:
    """Handler of rows that cannot be used: raise at the first one, or leave all out and count them.

    Attributes:
        dropped: reason -> rows left out.
        first: the first row that was left out, if there is any.
        warnings: a sentence on the first few of them.
    """

    def __init__(self, on_bad_rows: Literal["error", "skip"]) -> None:
        """Take `dataset.on_bad_rows`."""
        self.dropped: Counter[str] = Counter()
        self.first: BadRow | None = None
        self._skip = on_bad_rows == "skip"
        self._first: list[str] = []

    def handle(self, row: BadRow) -> None:
        """Count this row as left out, or raise.

        Raises:
            DataError: bad rows are errors.
        """
        if not self._skip:
            raise DataError(f"{row.where}: {row.message}, or set dataset.on_bad_rows=skip to leave such rows out.")
        self.dropped[row.reason] += 1
        self.first = self.first or row
        if len(self._first) < _MAX_ROWS_SHOWN:
            self._first.append(f"{row.where}: {shorten(row.message.partition(': ')[0], width=_WIDTH)}")

    def summary(self) -> str:
        """Return the number of rows left out, by reason."""
        return ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items())

    @property
    def warnings(self) -> list[str]:
        """One sentence that names the first few rows that were left out, if there are any."""
        if not self._first:
            return []
        more = "; …" if self.dropped.total() > len(self._first) else ""
        return [f"{self.dropped.total()} bad rows were left out: {'; '.join(self._first)}{more}"]


def map_rows(
    rows: Iterable[Row | BadRow],
    columns: Columns,
    roles: Roles,
    bad_rows: BadRowHandler,
    converters: Mapping[str, Converter] | None = None,
    unread: UnreadFields | None = None,
) -> Iterator[Row]:
    """Yield the rows with role -> text as their values.

    Args:
        rows: with column -> value.
        columns: role -> column, or several for a role that has a converter; a dotted path leads into a value:
            `instances.0.output`.
        roles: those of the task.
        bad_rows: handles rows in which a value is missing or is not text.
        converters: role -> function that turns values which are not text into text.
        unread: counts the columns that are not read, and names the columns of sparse roles that are not set.

    Raises:
        DataError: a column is in none of the rows, with file and line; or a row is bad and bad rows are errors.
    """
    converters = converters or {}
    mapping = _columns_in_use(columns, roles, converters)
    for row in _require_columns(rows, mapping, roles):
        row_mapping = (
            mapping if unread is None or isinstance(row, BadRow) else unread.with_sparse(mapping, row.values, roles)
        )
        mapped = row if isinstance(row, BadRow) else map_row(row, row_mapping, roles, converters)
        if isinstance(mapped, BadRow):
            bad_rows.handle(mapped)
            continue
        if unread is not None and isinstance(row, Row):
            unread.count(row.values, row_mapping, roles)
        yield mapped


def _columns_in_use(columns: Columns, roles: Roles, converters: Mapping[str, Converter]) -> dict[str, str | list[str]]:
    for role, names in columns.items():
        if role not in roles.all:
            raise DataError(f"dataset.columns.{role} is no column of this task: {did_you_mean(role, roles.all)}.")
        if isinstance(names, list) and role not in converters:
            raise DataError(f"dataset.columns.{role}={names} is a list: name the one column with the {role}.")
        if isinstance(names, list) and len(set(names)) < len(names):
            raise DataError(f"dataset.columns.{role}={names} names a column twice: leave one out.")
    in_use = {role: column for role in roles.all if (column := columns.get(role))}
    if roles.conversation in in_use:
        beside = [role for role in roles.sparse if role == _SYSTEM]  # earlier turns are in the conversation
        if both := [role for role in (*roles.required, *roles.sparse) if role in in_use and role not in beside]:
            raise DataError(
                f"dataset.columns.{roles.conversation} and {both[0]} are both set: set one of them to null."
            )
        return {role: in_use[role] for role in (roles.conversation, *beside) if role in in_use}
    for role in roles.required:
        if role not in in_use:
            raise DataError(f"dataset.columns.{role} is not set: name the column that holds the {role}.")
    return in_use


def _require_columns(
    rows: Iterable[Row | BadRow], mapping: Mapping[str, str | list[str]], roles: Roles
) -> Iterator[Row | BadRow]:
    """Yield all rows, once each column was seen in one of them: mostly in the first row, at worst in the last."""
    buffer: list[Row | BadRow] = []
    unseen = [(role, column) for role, names in mapping.items() for column in _as_list(names)]
    present = set[str]()
    rows = iter(rows)
    for row in rows:
        buffer.append(row)
        if isinstance(row, Row):
            present.update(map(str, row.values))
            unseen = [(role, column) for role, column in unseen if not has_column(row.values, column)]
            if not unseen:
                break
    first = next((row for row in buffer if isinstance(row, Row)), None)
    if unseen and first is not None:
        role, column = unseen[0]
        unset = f", or set dataset.columns.{role}=null" if role in (*roles.optional, *roles.sparse) else ""
        raise DataError(
            f"{first.where}: there is no column {column!r} for dataset.columns.{role}: "
            f"{did_you_mean(column, present)}{unset}."
        )
    yield from buffer
    yield from rows


def map_row(
    row: Row,
    mapping: Mapping[str, str | list[str]],
    roles: Roles,
    converters: Mapping[str, Converter] = MappingProxyType({}),
) -> Row | BadRow:
    """Return one row with role -> text as its values, or why that is not possible; see `map_rows`.

    Args:
        row: with column -> value.
        mapping: role -> its column or columns, for the roles to map.
        roles: those of the task.
        converters: see `map_rows`.
    """
    values: dict[str, Any] = {}
    right: list[str] = []  # texts that are as right as the one to learn
    for role, names in mapping.items():
        try:
            if role == roles.conversation:
                system_columns = _as_list(mapping[_SYSTEM]) if _SYSTEM in mapping else SYSTEM_COLUMNS
                values[role] = parse_conversation(turns_at(row.values, _joined(names)), row.values, system_columns)
            elif role == REFERENCES:
                right += map(to_text, read_reference_column(value_at(row.values, _joined(names))))
            elif (
                role == roles.referenced
                and (texts := read_references(value_at(row.values, _joined(names)))) is not None
            ):
                values[role], *others = distinct(map(to_text, texts)) or [""]
                right += others
            elif role not in roles.sparse:
                values[role] = _value(role, row.values, names, roles, converters.get(role))
            elif roles.conversation not in mapping and (
                value := _value(role, row.values, names, roles, converters.get(role))
            ):
                values[role] = value
        except UnusableValue as error:
            return BadRow(row.where, error.reason, f"column {error.column or _joined(names)!r} {error}")
    if others := distinct(right, without=values.get(roles.referenced or "", "")):
        values[REFERENCES] = others
    required = [role for role in mapping if role in (*roles.required, roles.conversation)]
    missing = next((role for role in required if not values[role] or str(values[role]).isspace()), None)
    if missing is None:
        lists = [role for role in roles.lists if role in mapping]
        return _unequal_lists(values, row.where, lists) or Row(values, row.where)
    names = mapping[missing]
    value = None if isinstance(names, list) else value_at(row.values, names)
    state = "holds NaN" if isinstance(value, float) else "is empty"
    if names in row.unlabelled:
        state = "holds -1, which marks a missing class"
    return BadRow(row.where, "incomplete", f"this row has no {missing} (column {_joined(names)!r} {state}): fill it in")


def _unequal_lists(values: Mapping[str, Any], where: str, lists: list[str]) -> BadRow | None:
    """Return a bad row if its lists have unequal lengths; they must match item by item."""
    lengths = [len(values[role]) for role in lists]
    if len(set(lengths)) < 2:
        return None
    counts = " and ".join(f"{length} {role}" for length, role in zip(lengths, lists, strict=True))
    return BadRow(where, "unequal lists", f"this row has {counts}: give each word one tag")


def _value(role: str, row: Mapping[str, Any], names: str | list[str], roles: Roles, converter: Converter | None) -> Any:
    if isinstance(names, list):
        assert converter is not None
        return converter({name: value_at(row, name) for name in names}, _joined(names))
    value = value_at(row, names)
    if role in roles.lists:
        return _texts(value)
    if converter is not None and not isinstance(value, Mapping):
        return converter(value, names)
    is_list_of_texts = isinstance(value, list) and value and all(isinstance(part, str) for part in value)
    if is_list_of_texts and role not in roles.unjoined:
        value = " ".join(value)  # sentences of a text
    return to_text(value)


def _as_list(names: str | list[str]) -> list[str]:
    return names if isinstance(names, list) else [names]


def _joined(names: str | list[str]) -> str:
    return ", ".join(_as_list(names))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str) and (items := parse_list_text(value)) is not None:  # as pandas writes lists into csv
        value = items
    if not isinstance(value, list | tuple):
        raise UnusableValue("no list", f"holds {_type_name(value)} where a list is needed, with an item for each word")
    return [to_text(item) for item in value]


def to_text(value: Any) -> str:
    """Return the text of a value; "" if it is missing.

    Raises:
        UnusableValue: it is neither text nor a number.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1.0 in one file and 1 in the next are the same label
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, date):
        raise UnusableValue("no text", f"holds a date where text is needed: {_DATE_REMEDY}")
    if not isinstance(value, str | int | float):
        raise UnusableValue("no text", f"holds {_type_name(value)} where text is needed: name another column")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnusableValue(
            "no text", "holds half of a surrogate pair, which is not valid text: fix the text"
        ) from None
    return text


def _type_name(value: Any) -> str:
    return {"list": "a list", "dict": "an object", "bytes": "bytes", "str": "text"}.get(
        type(value).__name__, type(value).__name__
    )
