"""Texts of lists: what pandas, NumPy and JSON write is read, and a label in brackets stays a label."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.rows.list_texts import parse_list_text

NAMES = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), min_size=1, max_size=5)


@given(NAMES)
def test_a_list_that_python_or_json_writes_is_read(names: list[str]) -> None:
    for text in (repr(names), str(tuple(names)), json.dumps(names), json.dumps(names, ensure_ascii=False)):
        assert parse_list_text(text) == names


@given(st.lists(st.text("abc 'é|,[]", min_size=1, max_size=6), min_size=2, max_size=5))
def test_an_array_of_numpy_is_read(names: list[str]) -> None:
    array = np.array(names)
    for text in (str(array), repr(array), repr(np.array(names, object)), repr([*array])):
        assert parse_list_text(text) == names, text


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("[]", []),
        ("[ ]", []),
        ("[1, 0, 1]", [1, 0, 1]),
        ("[1 0 1]", [1, 0, 1]),
        ("[1. 0. 1.]", [1.0, 0.0, 1.0]),
        ("[True, False]", [True, False]),
        ("[true, false]", [True, False]),
        ("['a', 'b',]", ["a", "b"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),
        ("['a', None]", ["a", None]),
        ("[np.int64(1), np.int64(0)]", [1, 0]),
        ("{'a'}", ["a"]),
        ("('a',)", ["a"]),
        (" [\"a\", 'b'] ", ["a", "b"]),
    ],
)
def test_every_notation_is_read(text: str, items: list[Any]) -> None:
    assert parse_list_text(text) == items


@pytest.mark.parametrize(
    "text",
    ["", "a", "[spam]", "[a, b]", "(1)", "{}", "()", "['a'", "['a'] b", "{'a': 1}", "['a)", "[1.0", "array", r"['\x']"],
)
def test_other_texts_are_no_lists(text: str) -> None:
    assert parse_list_text(text) is None


@pytest.mark.parametrize("start", ["(", "[1", "[1,", "['a'"])
def test_a_long_run_of_blanks_is_read_once(start: str) -> None:
    assert parse_list_text(f"{start}{' ' * 20_000}x") is None  # with a search that goes back, this takes hours
