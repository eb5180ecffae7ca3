"""Conversations as people's files hold them, in their one normal form; what is none is named."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError
from ftlab.data.rows.conversations import parse_conversation, parse_history, parse_messages
from ftlab.data.rows.detect import detect_columns
from ftlab.data.rows.mapping import BadRowHandler, map_rows
from ftlab.data.rows.row import Row, UnusableValue
from ftlab.data.rows.turns import Turn, conversation_from_json, conversation_to_json
from tests.data.making import build, dataset
from tests.data.rows.test_turns import said
from tests.fixtures.refusals import refused

ROLES = Roles(required=("prompt", "response"), optional=("input",), inputs=("prompt",), conversation="messages")
A_B = {"role": "assistant", "content": "b"}
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
    assert parse_messages(conversation, row) == NORMAL


@pytest.mark.parametrize(
    ("conversation", "row", "reason", "culprits"),
    [
        (NORMAL[2:], {}, "bad conversation", ("assistant", "user")),
        ([NORMAL[1], *NORMAL[1:3]], {}, "bad conversation", ("two", "user")),
        (NORMAL[:4], {}, "bad conversation", ("answer", "end")),
        (NORMAL[:1], {}, "bad conversation", ("answer", "end")),
        ([*NORMAL[1:3], NORMAL[0]], {}, "bad conversation", ("system", "first")),
        ([{"role": "narrator", "content": "x"}], {}, "bad conversation", ("'narrator'", "turn 1")),
        ([NORMAL[1], {"role": "assistant", "content": " "}], {}, "empty turn", ("turn 2", "content")),
        ([{"from": "human"}], {}, "empty turn", ("turn 1", "value")),
        ([NORMAL[1], {"role": "assistant", "tool_calls": [{}]}], {}, "tool calls", ("turn 2", "call")),
        ([NORMAL[1], {"role": "tool", "content": "4"}], {}, "tool calls", ("turn 2", "answer")),
        ([{"from": "observation", "value": "4"}], {}, "tool calls", ("turn 1", "answer")),
        (NORMAL, {"tools": '[{"name": "f"}]'}, "tool calls", ("tools",)),
        ("Hi", {}, "bad conversation", ("list", "role", "content")),
        (["Hi", "Ho"], {}, "bad conversation", ("turn 1", "object", "role", "content")),
        ([{"text": "Hi"}], {}, "bad conversation", ("turn 1", "role", "from")),
        ([{"role": "user", "content": 5}], {}, "bad conversation", ("turn 1", "text")),
        ([{"role": "user", "content": [{"type": "image_url"}]}], {}, "bad conversation", ("turn 1", "text", "images")),
        ([{"role": "user", "content": "\ud83d"}], {}, "no text", ("turn 1", "surrogate")),
    ],
)
def test_what_is_no_conversation(
    conversation: Any, row: dict[str, Any], reason: str, culprits: tuple[str, ...]
) -> None:
    with refused(UnusableValue, *culprits) as caught:
        parse_messages(conversation, row)
    assert caught.value.reason == reason


def test_rows_of_conversations_are_mapped_and_bad_ones_counted() -> None:
    good = {"conversations": _sharegpt("system", "human", "gpt", "human", "gpt")}
    rows = [
        Row(good, "a:1"),
        Row({"conversations": []}, "a:2"),
        Row({"conversations": good["conversations"][2:]}, "a:3"),
    ]
    found, again = detect_columns(rows, {}, ROLES)
    bad = BadRowHandler("skip")
    (row,) = map_rows(again, found.columns, ROLES, bad)
    assert row.values == {"messages": conversation_to_json(NORMAL)}
    assert bad.dropped == {"incomplete": 1, "bad conversation": 1}
    with refused(DataError, "a:3", "'conversations'", "assistant"):
        list(map_rows([rows[0], rows[2]], found.columns, ROLES, BadRowHandler("error")))
    with refused(DataError, "dataset.columns.messages", "prompt"):
        list(map_rows(rows, {"messages": "conversations", "prompt": "p"}, ROLES, bad))


@pytest.mark.parametrize(
    ("flags", "learned"),
    [
        ({"weight": 0}, False),
        ({"weight": 1.0}, True),
        ({"weight": None}, True),
        ({"weight": float("nan")}, True),
        ({"train": False}, False),
        ({"training": True}, True),
        ({"train_on_turn": False}, False),
        ({"loss": False}, False),
        ({"masked": True}, False),
        ({"masked": False, "weight": 1}, True),
        ({"loss_weight": 0}, False),
        ({"loss_scale": 1.0, "prefix": False}, True),
    ],
)
@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_flags_say_what_is_learned(keys: tuple[str, str], flags: dict[str, Any], learned: bool) -> None:
    flagged = {keys[0]: "assistant", keys[1]: "Ho", **flags}
    rest = [{keys[0]: role, keys[1]: "x", "weight": 0 if role == "user" else None} for role in ("user", "assistant")]
    messages = parse_messages([rest[0], flagged, *rest], {})
    assert messages[1].get("learned", True) is learned
    assert messages[3].get("learned", True)


@pytest.mark.parametrize(
    ("turn", "culprits"),
    [
        ({"role": "assistant", "content": "x", "weight": 0.5}, ("weight=0.5", "turn 2")),
        ({"role": "assistant", "content": "x", "loss_scale": 2.0}, ("loss_scale=2.0", "turn 2")),
        ({"role": "assistant", "content": "x", "prefix": True}, ("prefix", "turn 2", "begins")),
        ({"role": "assistant", "content": "x", "partial": True}, ("partial", "turn 2", "begins")),
        ({"role": "assistant", "content": "x", "weight": 1, "train": False}, ("weight, train", "turn 2")),
        ({"role": "assistant", "content": "x", "train_detail": [{"begin_offset": 0}]}, ("train_detail", "turn 2")),
        ({"role": "assistant", "content": "x", "weight": 0}, ("no answer",)),
        ({"role": "assistant", "content": "x", "reasoning": "a", "thinking": "b"}, ("reasoning and thinking",)),
        ({"role": "assistant", "content": "x", "reasoning_content": ["a"]}, ("turn 2", "text")),
        ({"role": "assistant", "content": "x", "images": ["a.png"]}, ("images", "turn 2")),
    ],
)
def test_flags_that_cannot_be_obeyed(turn: dict[str, Any], culprits: tuple[str, ...]) -> None:
    with refused(UnusableValue, *culprits):
        parse_messages([{"role": "user", "content": "Hi"}, turn], {})


def test_a_flag_that_asks_to_learn_a_prompt_is_refused() -> None:
    with refused(UnusableValue, "turn 1", "user", "train"):
        parse_messages([{"role": "user", "content": "Hi", "train": True}, NORMAL[2]], {})


def test_reasoning_has_one_name() -> None:
    for key in ("reasoning_content", "reasoning", "thinking"):
        turns = [NORMAL[1], {**NORMAL[2], key: "Hm."}]
        (turn,) = conversation_from_json(conversation_to_json(parse_messages(turns, {}))).turns
        assert (turn.reasoning, turn.response) == ("Hm.", "Ho")


@pytest.mark.parametrize("write", [json.dumps, str])  # str: as pandas writes a column of lists
def test_a_conversation_as_text_of_a_table(write: Callable[[Any], str], tmp_path: Path) -> None:
    rows = [Row({"messages": write(NORMAL)}, "a:1"), Row({"messages": ""}, "a:2"), Row({"messages": "[]"}, "a:3")]
    detected, again = detect_columns(rows, {}, ROLES)
    assert (detected.shape, detected.columns) == ("messages", {"messages": "messages"})
    bad = BadRowHandler("skip")
    assert [row.values["messages"] for row in map_rows(again, detected.columns, ROLES, bad)] == [
        conversation_to_json(NORMAL)
    ]
    assert bad.dropped == {"incomplete": 2}
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["messages", "mask"], *([write(said(f"user: {n}", "assistant: b")), "0"] for n in range(20))])
    columns = {"messages": None, "prompt": None, "response": None}
    data = build(dataset("instruction", {"train": str(tmp_path / "a.csv")}, columns=columns))
    assert data.conversation(data.splits["train"][0].values).turns[0].response == "b"  # type: ignore[attr-defined]


def test_columns_beside_a_conversation() -> None:
    assert parse_messages(NORMAL[1:], {"system_prompt": "Be short."}) == NORMAL
    for column in ("images", "functions"):
        with refused(UnusableValue, column.removesuffix("s") if column == "images" else "tools"):
            parse_messages(NORMAL, {column: ["x"]})
    row = {"chat_template_kwargs": {"enable_thinking": False, "unset": None}}
    assert conversation_from_json(parse_conversation(NORMAL, row)).template_settings == '{"enable_thinking":false}'
    assert parse_conversation(NORMAL, {}) == conversation_to_json(NORMAL)


@pytest.mark.parametrize("value", [[["a", "b"]], '[["a", "b"]]', [{"role": "user", "content": "a"}, A_B]])
def test_turns_before_a_prompt(value: Any) -> None:
    assert conversation_from_json(parse_history(value, "history")).turns == (Turn("a", "b"),)


@pytest.mark.parametrize("value", [["a", "b"], "a", [["a"]], {"a": 1}])
def test_what_are_no_turns_before_a_prompt(value: Any) -> None:
    with refused(UnusableValue, "earlier turns"):
        parse_history(value, "history")
    with refused(UnusableValue, "turn 2"):
        parse_history([["a", ""]], "history")
    assert parse_history(None, "history") == parse_history([], "history") == ""
