"""Labels of one cell: a single label, or a list of them, whether the cell holds a list or the text of one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftlab.data.rows.label_names import name_of
from ftlab.data.rows.list_texts import parse_list_text
from ftlab.data.rows.mapping import to_text
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Row, UnusableValue, value_at
from ftlab.data.rows.sample import with_sample

_MISSING_FLAGS = frozenset({"-1", "-1.0", "-100", "-100.0", "none", "nan", "null"})
FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
_SAME_LENGTH = 0.9  # fraction of the lists of 0 and 1 that have one length; others are mistakes


def single_label(value: Any, names: Sequence[str] | None) -> str:
    """Return the one label of a cell; "" if there is none.

    Raises:
        UnusableValue: the cell holds several labels, or the text of a list of them.
    """
    items = parse_list_text(value) if isinstance(value, str) else value
    if isinstance(value, Mapping):  # a column of 0 and 1 for each class
        items = [name for name, flag in value.items() if is_set(flag, name)]
    if isinstance(items, list):
        if len(items) > 1 and all(_flag(item) is not None for item in items):
            return _one_hot_label(items, names)
        if len(items) != 1:
            labels = ", ".join(map(str, items[:3])) + (", …" if len(items) > 3 else "")
            raise UnusableValue(
                "several labels" if items else "no label",
                f"holds a list of {len(items)} labels ({labels or 'it is empty'}) where one is needed: keep one, or "
                "set dataset=multilabel_files, which learns several",
            )
        value = items[0]
    return name_of(to_text(value), names)


def _one_hot_label(flags: Sequence[Any], names: Sequence[str] | None) -> str:
    """Return the name at the place of the only 1.

    Raises:
        UnusableValue: there are no names of the places, or not one 1.
    """
    places = [place for place, flag in enumerate(flags) if _flag(flag)]
    if names is not None and len(names) == len(flags) and len(places) == 1:
        return names[places[0]]
    raise UnusableValue(
        "no label",
        f"holds {flags}, a list of {len(flags)} labels or of zeros and ones, where one label is needed: set "
        f"dataset.label_names to the {len(flags)} names of its places, or dataset=multilabel_files, which learns "
        "several",
    )


def _flag(value: Any) -> bool | None:
    return FLAGS.get(str(value).strip().lower())


def is_set(value: Any, column: str) -> bool:
    """Return whether a column of 0 and 1 has a 1.

    Raises:
        UnusableValue: it has neither.
    """
    flag = _flag(value)
    if flag is None:
        raise UnusableValue("no switch", f"holds {value!r} where 0 or 1 is needed: correct it", column)
    return flag


def label_list(value: Any, separator: str | None) -> list[Any] | None:
    """Return the labels of a cell as they are written; None if it holds a text that is no list."""
    if isinstance(value, Mapping) and all(_flag(flag) is not None for flag in value.values()):
        return [name for name, flag in value.items() if _flag(flag)]
    if value is None or value != value:  # NaN
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, str) and (items := parse_list_text(value)) is not None:
        return items
    return None if separator is None else str(value).split(separator)


def is_multi_hot(values: Iterable[list[Any] | None]) -> bool:
    """Return whether these lists have 0 or 1 for each label: (almost) equal lengths, and no lists of ids.

    Lists of ids name none twice, and not two in both orders, so that a list such as [0, 1] alone may be either.
    A code for a missing value may stand among the flags; such a row is a bad one.
    """
    lists = [value for value in values if value]
    flags = [[_flag(item) for item in value if str(item).strip().lower() not in _MISSING_FLAGS] for value in lists]
    has_ids = not any(len(set(row)) < len(row) for row in flags) and not ([0, 1] in flags and [1, 0] in flags)
    if has_ids or any(None in row for row in flags):
        return False
    return Counter(map(len, lists)).most_common(1)[0][1] >= _SAME_LENGTH * len(lists)


def with_hot_labels(
    rows: Iterable[Row | BadRow],
    column: str,
    separator: str | None,
    names: Sequence[str] | None,
    remarks: Remarks,
) -> Iterator[Row | BadRow]:
    """Yield the rows; if their labels are lists of 0 and 1, with the names of those that are 1 in their place.

    Args:
        rows: with column -> value.
        column: of the labels.
        separator: `dataset.label_separator`.
        names: of the places; None: their numbers from 0, of which there is a doubt.
        remarks: collects the doubt.
    """
    sample, all_rows = with_sample(rows)
    lists = [label_list(value_at(row.values, column), separator) for row in sample]
    if not is_multi_hot(lists):
        return all_rows
    count = Counter(len(value) for value in lists if value).most_common(1)[0][0]
    if names is None:
        remarks.doubt(
            f"The labels in column {column!r} are lists of {count} zeros and ones, and each place was read as a label "
            f"that has its number (0 to {count - 1}) as name: set dataset.label_names to the {count} names, in this "
            "order."
        )
    return _with_names(all_rows, column, separator, names or [*map(str, range(count))])


def _with_names(
    rows: Iterable[Row | BadRow], column: str, separator: str | None, names: Sequence[str]
) -> Iterator[Row | BadRow]:
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        items = label_list(value_at(row.values, column), separator)
        if items and len(items) == len(names):
            try:
                labels = [name for name, item in zip(names, items, strict=True) if is_set(item, column)]
            except UnusableValue as error:
                yield BadRow(row.where, error.reason, f"column {column!r} {error}")
            else:
                yield Row({**row.values, column: labels}, row.where)
        elif items == []:
            yield row
        else:
            count = "a text" if items is None else f"{len(items)} values"
            yield BadRow(
                row.where,
                "no labels",
                f"column {column!r} holds {count} where 0 or 1 is needed for each of {len(names)} labels: correct "
                "it, or dataset.label_names",
            )
