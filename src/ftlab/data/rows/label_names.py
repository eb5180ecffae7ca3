"""Names for labels that are numbers: set by the user, or in another column of the same file."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Columns, Row, UnusableValue

_ID = re.compile(r"\d+(\.0)?")
_LONGEST_NAME = 60  # characters
_MAX_NAMES = 1000


def name_of(label: str, names: Sequence[str] | None) -> str:
    """Return the name of a label that is its number from 0; of one of the names, itself. Without names: the label.

    Raises:
        UnusableValue: no name has this number.
    """
    if names is None or label.strip() in ("", *names):
        return label
    if not _ID.fullmatch(label.strip()) or float(label) >= len(names):
        raise UnusableValue(
            "no label",
            f"holds {label!r} where dataset.label_names has {len(names)} names, numbered from 0: correct one of the "
            "two",
        )
    return names[int(float(label))]


class NameColumnFinder:
    """Finder of a column with names of labels that are numbers: label and label_text, as in SetFit's files."""

    def __init__(self, role: str, columns: Columns) -> None:
        """Take the role of the labels, and role -> column."""
        self._role, self._column = role, columns.get(role)
        self._used = {
            name for names in columns.values() for name in ([names] if isinstance(names, str) else names or [])
        }
        self._name_of: dict[str, dict[str, str]] | None = None  # column -> label -> name
        self._rows = 0
        self._numeric = isinstance(self._column, str)

    def watch(self, rows: Iterable[Row | BadRow], remarks: Remarks) -> Iterator[Row | BadRow]:
        """Yield the same rows, and then doubt the column of the labels if another has their names."""
        for row in rows:
            if self._numeric and isinstance(row, Row):
                self._add(row.values)
            yield row
        remarks.doubt(*self._doubts())

    def _doubts(self) -> list[str]:
        """Return a sentence that names the column, if there is one."""
        if not self._numeric or not self._name_of:
            return []
        for column, names in self._name_of.items():
            if 2 <= len(names) <= self._rows / 2 and len(set(names.values())) == len(names):
                return [
                    f"The labels in column {self._column!r} are numbers, and column {column!r} has a name for each: "
                    f"set dataset.columns.{self._role}={column} to have names in all results."
                ]
        return []

    def _add(self, values: Mapping[str, object]) -> None:
        label = str(values.get(str(self._column), "")).strip()
        self._numeric = _ID.fullmatch(label) is not None
        self._rows += 1
        if self._name_of is None:
            self._name_of = {str(name): {} for name in values if str(name) not in self._used}
        for column, names in list(self._name_of.items()):
            name = values.get(column)
            fits = isinstance(name, str) and _is_name(name) and names.setdefault(label, name) == name
            if not fits or len(names) > _MAX_NAMES:
                del self._name_of[column]


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= _LONGEST_NAME and not _ID.fullmatch(text.strip())
