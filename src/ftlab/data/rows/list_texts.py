"""Lists in the text of a cell, as pandas, NumPy and JSON write them into tables."""

import ast
import json
import re
import warnings
from typing import Any

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = rf"(?:{_QUOTED}|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|true|false|True|False|null|None|nan|NaN)"
# One way to match each blank: with several, a long run of them would take its cube of steps.
_LIST = re.compile(rf"[\[(\{{]\s*(?:{_ITEM}(?:[\s,]+{_ITEM})*[\s,]*)?[\])\}}]")
_BY_SPACES = re.compile(rf"{_ITEM}(?:\s+{_ITEM})+")  # NumPy puts no commas, and Python joins neighbouring texts
_SCALAR_OF_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")
_ARRAY = re.compile(r"array\((\[.*\])(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_CLOSING = {"[": "]", "(": ")", "{": "}"}


def parse_list_text(text: str) -> list[Any] | None:
    """Return the list that a text writes out: `['a', 'b']`, `["a"]`, `['a' 'b']`, `[0. 1.]`, `{'a'}`; None if none.

    Items are texts in quotes, numbers, truth values or None. What is in brackets without quotes (`[spam]`) is a text.
    """
    text = text.strip()
    if text[:1] not in ("[", "(", "{", "a"):
        return None
    text = _SCALAR_OF_NUMPY.sub(r"\1", _unwrapped(text))
    if not _LIST.fullmatch(text) or _CLOSING[text[0]] != text[-1] or (text[0] != "[" and len(text) < 3):
        return None
    if text[0] == "(" and "," not in text and not _BY_SPACES.fullmatch(text[1:-1].strip()):
        return None  # (1): a number in brackets
    inner = text[1:-1].strip().rstrip(",").strip()
    try:
        return list(json.loads(f"[{inner}]"))
    except ValueError:
        pass  # in Python's notation, or in NumPy's
    try:
        return [_value(item) for item in re.findall(_ITEM, inner)]
    except (SyntaxError, ValueError):  # an escape that Python does not have
        return None


def parse_nested_text(text: str) -> list[Any] | None:
    """Return the list of lists or objects that a text writes out, in JSON or as Python prints it; None if none."""
    if text.strip()[:1] != "[":
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # of an escape that means nothing
                value = ast.literal_eval(text.strip())
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _unwrapped(text: str) -> str:
    match = _ARRAY.fullmatch(text)
    return match[1] if match else text


def _value(item: str) -> Any:
    """Return the value of an item in Python's or JSON's notation."""
    words: dict[str, Any] = {"true": True, "false": False, "null": None, "nan": None, "NaN": None}
    if item in words:
        return words[item]
    with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # of an escape that means nothing
        return ast.literal_eval(item)
