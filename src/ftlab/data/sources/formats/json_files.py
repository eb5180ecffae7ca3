"""JSON readers: a list of rows, an object that holds rows or columns, or an object per line."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # Python's own pattern of white space in JSON
from pathlib import Path
from typing import Any

from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.json_layouts import UnclearLayout, rows_of_object
from ftlab.data.sources.formats.text_io import numbered_lines, read_text

_EXPECTED = "expected is a list of objects, or an object per line"


def read_json(
    path: Path, *, encoding: str | None, names: Sequence[str] | None, field: str | None
) -> Iterator[Row | BadRow]:
    """Yield the rows of a json file, or of a jsonl file that is named json.

    Args:
        path: the file.
        encoding: see `text_io.open_text`.
        names: of the values, if rows are lists instead of objects.
        field: key of the rows, if the file is an object; dots lead to nested keys.

    Raises:
        DataError: it is not valid JSON, is truncated, or has no rows under that key.
    """
    text = read_text(path, encoding)
    start = text.lstrip()[:1]
    if field is not None:
        yield from _under_key(_parsed(text, path), path, field, names)
    elif start == "{" and "\n" in text.strip():
        yield from _lines_or_object(text, path, encoding, names)
    elif start == "{":
        yield from _single_object(_parsed(text, path), path, names)
    elif text.strip():
        yield from _list(text, path, names)


def read_json_lines(path: Path, *, encoding: str | None, names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    """Yield the rows of a jsonl file, or of a json file that is named jsonl; broken lines are bad rows."""
    first = True
    for number, line in numbered_lines(path, encoding):
        if not line.strip():
            continue
        if first and _begins_json_file(line, path, encoding):
            yield from read_json(path, encoding=encoding, names=names, field=None)
            return
        first = False
        where = f"{path.name}:{number}"
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deeply")
            yield BadRow(where, "no JSON", f"this is not valid JSON ({reason}): {_EXPECTED}")
        else:
            yield row_of(item, where, names)


def _begins_json_file(line: str, path: Path, encoding: str | None) -> bool:
    """Return whether the first line of a jsonl file is the start of one list of rows, or of one long object."""
    try:
        item = json.loads(line)
    except RecursionError:
        return False
    except ValueError:
        if line.strip() in ("[", "[{"):  # of a list, whose own errors have a line
            return True
        try:
            return line.lstrip()[0] in "[{" and bool(json.loads(read_text(path, encoding)))
        except (ValueError, RecursionError):
            return False
    return isinstance(item, list) and bool(item) and all(isinstance(row, dict) for row in item)


def row_of(item: Any, where: str, names: Sequence[str] | None) -> Row | BadRow:
    """Return an object, or a list of values with these names, as a row."""
    if isinstance(item, dict):
        return Row(item, where)
    if isinstance(item, list) and names is not None:
        if len(item) == len(names):
            return Row(dict(zip(names, item, strict=True)), where)
        expected = f"{len(names)} are expected ({', '.join(names)})"
        return BadRow(where, "wrong number of fields", f"{len(item)} values where {expected}")
    hint = ", or a list with dataset.source.names set" if isinstance(item, list) else ""
    return BadRow(
        where, "no object", f"this is not a JSON object: every row must be an object of names and values{hint}"
    )


def _list(text: str, path: Path, names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    """Parse one item at a time: this gives each its line, and not all objects are in memory at once."""
    decoder, line, counted = json.JSONDecoder(), 1, 0  # `line` is that of position `counted`
    at = _after_space(text, 0)
    if text[at] != "[":
        _parsed(text, path)  # raises if it is not JSON at all
        raise DataError(f"{path}:1: this is a single JSON value without rows: {_EXPECTED}.")
    at, number = _after_space(text, at + 1), 0
    if text[at : at + 1] == "]":
        return
    while True:
        number += 1
        line, counted = line + text.count("\n", counted, at), at
        try:
            item, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise _broken(error, text, path) from None
        yield row_of(item, f"{path.name}:{line}, item {number}", names)
        at = _after_space(text, at)
        mark = text[at : at + 1]
        if mark == "]":
            break
        if mark != ",":
            raise _broken(json.JSONDecodeError("Expecting ',' or ']'", text, at), text, path)
        at = _after_space(text, at + 1)
    if _after_space(text, at + 1) != len(text):
        raise _broken(json.JSONDecodeError("Extra data", text, at + 1), text, path)


def _lines_or_object(
    text: str, path: Path, encoding: str | None, names: Sequence[str] | None
) -> Iterator[Row | BadRow]:
    """Read an object per line if the first line is complete JSON, else one object over many lines."""
    try:
        json.loads(text.lstrip().partition("\n")[0])
    except (ValueError, RecursionError):
        yield from _single_object(_parsed(text, path), path, names)
    else:
        yield from read_json_lines(path, encoding=encoding, names=names)


def _single_object(content: Mapping[str, Any], path: Path, names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    """Yield the rows of a file that is one object: its columns, or a list of rows in it; else it is itself a row."""
    items = _items(content, path)
    if items is None:
        yield row_of(content, f"{path.name}:1", names)
    else:
        yield from _numbered(items, path.name, names)


def _items(content: Mapping[str, Any], path: Path, where: str = "") -> list[Any] | None:
    """Return the rows of an object; None if it is itself a row."""
    try:
        items = rows_of_object(content)
    except UnclearLayout as error:
        raise DataError(f"{path}{where} is a JSON object {error}.") from None
    return None if items is None else list(items)


def _numbered(items: Iterable[Any], name: str, names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    for number, item in enumerate(items, 1):
        where = f"{name}, item {number}"
        yield BadRow(where, item.reason, item.message) if isinstance(item, BadRow) else row_of(item, where, names)


def _under_key(content: Any, path: Path, field: str, names: Sequence[str] | None) -> Iterator[Row | BadRow]:
    for key in field.split("."):
        if not isinstance(content, dict) or key not in content:
            hint = did_you_mean(key, list(content)) if isinstance(content, dict) else "it is not an object"
            raise DataError(f"{path} has no key {key!r}, which dataset.source.fields names: {hint}.")
        content = content[key]
    items = _items(content, path, f" (dataset.source.fields={field})") if isinstance(content, dict) else content
    if not isinstance(items, list):
        raise DataError(f"{path}: the value under dataset.source.fields={field} is not a list of rows.")
    yield from _numbered(items, f"{path.name}, {field}", names)


def _after_space(text: str, at: int) -> int:
    return int(WHITESPACE.match(text, at).end())


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(error, text, path) from None


def _broken(error: Exception, text: str, path: Path) -> DataError:
    if not isinstance(error, json.JSONDecodeError):
        return DataError(f"{path}:1: this is not valid JSON (nested too deeply): {_EXPECTED}.")
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return DataError(f"{path}:{error.lineno}: the JSON is cut off here: fetch or save the file again.")
    return DataError(f"{path}:{error.lineno}: this is not valid JSON ({error.msg}): {_EXPECTED}.")
