"""Layouts of a JSON file that is one object: rows under a key, or columns, as pandas and `datasets` write them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.class_names import class_decoders, decoded_row

_WORDS = ("tokens", "words")  # a list of these is one row's, not a column
_COLUMNS_OF_LISTS = (*_WORDS, "tags", "messages", "conversations", "dialogue")
_SPLIT_BEGINNINGS = {"train": ("train",), "val": ("val", "dev"), "test": ("test",)}  # of keys
_MOST_KEYS = 6  # in a message


class UnclearLayout(Exception):
    """Raised for an object whose rows are unclear; the message continues `… is a JSON object`, without a full stop."""


def rows_of_object(content: Mapping[str, Any]) -> Iterator[Any] | None:
    """Return the rows of an object: objects, lists of values, or bad rows; None if the object is itself a row.

    These are read: a list of rows under one key (also pandas' orients split and table, SQuAD's and the answers of the
    hub's data server); a list for each column (`to_dict`); and pandas' orients columns and index.

    Raises:
        UnclearLayout: it may be several of these, or has columns of unequal lengths.
    """
    values = content.values()
    is_split = {"columns", "data"} <= content.keys() <= {"columns", "data", "index"}
    if is_split and isinstance(content["columns"], list) and _is_list_of(content["data"], list):
        return _split_orient(content["columns"], content["data"])
    rows = content.get("rows", [])
    if _is_list_of(rows, dict) and all(isinstance(item.get("row"), dict) for item in rows):
        return _data_server_rows(rows, content.get("features"))
    if len(content) > 1 and all(isinstance(value, dict) and value for value in values):
        return _rows_of_objects(content)
    if len(content) == 1 and all(isinstance(value, dict) and _are_numbers(value) for value in values):
        return _rows_of_objects(content)
    if content and all(isinstance(value, list) and value for value in values):
        return _rows_of_lists(content)
    return _rows_under_key({key: value for key, value in content.items() if _is_list_of_rows(value)})


def _rows_of_lists(content: Mapping[str, list[Any]]) -> Iterator[Any] | None:
    """Return the rows of an object of lists, which are columns, lists of rows, or the values of one row."""
    lists_of_rows = {key: value for key, value in content.items() if _is_list_of_rows(value)}
    flat = {key: value for key, value in content.items() if not isinstance(value[0], dict | list)}
    if any(key in _WORDS for key in flat) or _has_turns(content):
        return None
    lengths = {key: len(value) for key, value in content.items()}
    if len(lists_of_rows) == len(content) and not _are_columns_of_lists(content, set(lengths.values())):
        return _rows_under_key(lists_of_rows)
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {length}" for key, length in [*lengths.items()][:_MOST_KEYS])
        raise UnclearLayout(
            f"of columns that have unequal lengths ({counts}): write it as a list of objects, a row each"
        )
    return (dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True))


def _are_columns_of_lists(content: Mapping[str, list[Any]], lengths: set[int]) -> bool:
    """Return whether lists of lists are columns, as those of words and tags are, and not several lists of rows."""
    if len(lengths) > 1 or not all(_is_list_of(value, list) for value in content.values()):
        return False
    has_splits = any(key.startswith(beginnings) for key in content for beginnings in _SPLIT_BEGINNINGS.values())
    return not has_splits and (len(content) > 1 or any(key in _COLUMNS_OF_LISTS for key in content))


def _rows_of_objects(content: Mapping[str, Mapping[str, Any]]) -> Iterator[Any] | None:
    """Return the rows of an object of objects: columns with an entry for each index, or rows by their index."""
    first = next(iter(content.values()))
    if _are_numbers(content):
        return iter(content.values())
    if any(value.keys() != first.keys() for value in content.values()):
        return iter(content.values()) if len(content) > max(map(len, content.values())) else None
    if _are_numbers(first) or len(first) > len(content):
        return ({key: column[index] for key, column in content.items()} for index in first)
    if len(content) > len(first):
        return iter(content.values())
    raise UnclearLayout(
        f"of objects, whose rows may be {_shown(content)}, or {_shown(first)}: write it as a list of objects, a row "
        "each (pandas: to_json(orient='records'))"
    )


def _rows_under_key(lists_of_rows: Mapping[str, list[Any]]) -> Iterator[Any] | None:
    if not lists_of_rows:
        return None
    if len(lists_of_rows) > 1 or _is_list_of(next(iter(lists_of_rows.values())), list):
        raise UnclearLayout(
            f"with lists under {_shown(lists_of_rows)}: set dataset.source.fields to the key of the rows, or to one "
            f"for each split, e.g. dataset.source.fields={{{_split_keys(lists_of_rows)}}}"
        )
    ((_, rows),) = lists_of_rows.items()
    if isinstance(rows[0], dict) and _is_list_of(rows[0].get("paragraphs"), dict):
        raise UnclearLayout(
            "in SQuAD's nested layout, with questions in paragraphs of articles: write a row for each question, with "
            "the columns question, context and answer"
        )
    return iter(rows)


def _split_keys(keys: Mapping[str, Any]) -> str:
    """Return the setting of a key for each split, as far as the names of the keys tell."""
    named = {
        split: next((key for key in keys if key.startswith(beginnings)), None)
        for split, beginnings in _SPLIT_BEGINNINGS.items()
    }
    named["train"] = named["train"] or next(iter(keys))
    return ",".join(f"{split}:{key}" for split, key in named.items() if key)


def _split_orient(columns: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Iterator[Any]:
    names = [".".join(map(str, name)) if isinstance(name, list) else str(name) for name in columns]
    for row in rows:
        if len(row) == len(names):
            yield dict(zip(names, row, strict=True))
        else:
            expected = f"{len(names)} are expected ({', '.join(names)})"
            yield BadRow("", "wrong number of fields", f"{len(row)} values where {expected}: correct it")


def _data_server_rows(rows: Sequence[Mapping[str, Any]], features: Any) -> Iterator[Any]:
    """Yield the rows of an answer of the hub's data server, with class names for ids."""
    described = features if _is_list_of(features, dict) else []
    decoders = class_decoders({str(feature.get("name")): feature.get("type") for feature in described})
    for item in rows:
        if item.get("truncated_cells"):
            cells = ", ".join(map(str, item["truncated_cells"]))
            yield BadRow(
                "", "truncated cell", f"the data server cut {cells} off: fetch the file of the data set instead"
            )
        else:
            row = decoded_row(item["row"], "", decoders)
            yield row.values if isinstance(row, Row) else row


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _is_list_of_rows(value: Any) -> bool:
    """Return whether a list is one of rows, and not a value of one row (a text in parts, labels, a conversation)."""
    if not isinstance(value, list) or not value:
        return False
    turns = all(isinstance(item, dict) and item.keys() & {"role", "from"} for item in value)
    return not turns and isinstance(value[0], dict | list)


def _has_turns(content: Mapping[str, list[Any]]) -> bool:
    return any(isinstance(value[0], dict) and not _is_list_of_rows(value) for value in content.values())


def _are_numbers(keys: Mapping[str, Any]) -> bool:
    return all(key.isdecimal() for key in keys)


def _shown(keys: Mapping[str, Any]) -> str:
    more = ", …" if len(keys) > _MOST_KEYS else ""
    return ", ".join([*keys][:_MOST_KEYS]) + more
