"""Conversations as people's files hold them, in their one normal form; what is none is named."""

from typing import Any

import pytest

from ftlab.data.conversations import turns
from ftlab.data.mapping import BadRows, map_rows
from ftlab.data.rows import NotUsable, Roles, Row
from ftlab.data.shapes import settle
from ftlab.data.turns import as_text
from ftlab.errors import DataError

ROLES = Roles(required=("prompt", "response"), optional=("input",), given=("prompt",), conversation="messages")
NORMAL = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Ho"},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "Bye"},
]


def _sharegpt(*names: str) -> list[dict[str, str]]:
    return [{"from": name, "value": turn["content"]} for name, turn in zip(names, NORMAL, strict=True)]


@pytest.mark.parametrize(
    ("conversation", "row"),
    [
        (NORMAL, {}),
        (_sharegpt("system", "human", "gpt", "human", "gpt"), {}),
        (_sharegpt("system", "user", "assistant", "User", "Assistant"), {}),
        (NORMAL[1:], {"system": "Be short."}),
        (NORMAL, {"system": "Not this one."}),
        ([{**turn, "name": "x", "tool_calls": None} for turn in NORMAL], {"tools": ""}),
        ([{"role": turn["role"], "content": [{"type": "text", "text": turn["content"]}]} for turn in NORMAL], {}),
        ([{**NORMAL[0], "role": "developer"}, *NORMAL[1:]], {}),
    ],
)
def test_one_normal_form(conversation: Any, row: dict[str, Any]) -> None:
    assert turns(conversation, row) == NORMAL


@pytest.mark.parametrize(
    ("conversation", "row", "reason", "message"),
    [
        (NORMAL[2:], {}, "bad conversation", "begins with the assistant"),
        ([NORMAL[1], *NORMAL[1:3]], {}, "bad conversation", "two turns of the user in a row"),
        (NORMAL[:4], {}, "bad conversation", "without an answer at its end"),
        (NORMAL[:1], {}, "bad conversation", "without an answer at its end"),
        ([*NORMAL[1:3], NORMAL[0]], {}, "bad conversation", "a system prompt that is not the first turn"),
        ([{"role": "narrator", "content": "x"}], {}, "bad conversation", "the role 'narrator' in turn 1"),
        ([NORMAL[1], {"role": "assistant", "content": " "}], {}, "empty turn", "turn 2 has no content"),
        ([{"from": "human"}], {}, "empty turn", "turn 1 has no value"),
        ([NORMAL[1], {"role": "assistant", "tool_calls": [{}]}], {}, "tool calls", "a tool call in turn 2"),
        ([NORMAL[1], {"role": "tool", "content": "4"}], {}, "tool calls", "a tool's answer in turn 2"),
        ([{"from": "observation", "value": "4"}], {}, "tool calls", "a tool's answer in turn 1"),
        (NORMAL, {"tools": '[{"name": "f"}]'}, "tool calls", "a conversation with tools"),
        ("Hi", {}, "bad conversation", "no conversation: expected is a list"),
        (["Hi", "Ho"], {}, "bad conversation", "turn 1 is no object"),
        ([{"text": "Hi"}], {}, "bad conversation", "neither role nor from"),
        ([{"role": "user", "content": 5}], {}, "bad conversation", "turn 1 is no text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}, "bad conversation", "more than text in turn 1"),
        ([{"role": "user", "content": "\ud83d"}], {}, "no text", "half of a surrogate pair in turn 1"),
    ],
)
def test_what_is_no_conversation(conversation: Any, row: dict[str, Any], reason: str, message: str) -> None:
    with pytest.raises(NotUsable, match=message) as caught:
        turns(conversation, row)
    assert caught.value.reason == reason


def test_rows_of_conversations_are_mapped_and_bad_ones_counted() -> None:
    good = {"conversations": _sharegpt("system", "human", "gpt", "human", "gpt")}
    rows = [
        Row(good, "a:1"),
        Row({"conversations": []}, "a:2"),
        Row({"conversations": good["conversations"][2:]}, "a:3"),
    ]
    found, again = settle(rows, {}, ROLES)
    bad = BadRows("skip")
    (row,) = map_rows(again, found.columns, ROLES, bad)
    assert row.values == {"messages": as_text(NORMAL)}
    assert bad.dropped == {"incomplete": 1, "bad conversation": 1}
    with pytest.raises(DataError, match=r"a:3: column 'conversations' holds a conversation that begins with the assis"):
        list(map_rows([rows[0], rows[2]], found.columns, ROLES, BadRows("error")))
    with pytest.raises(DataError, match=r"columns\.messages and prompt are both set"):
        list(map_rows(rows, {"messages": "conversations", "prompt": "p"}, ROLES, bad))
