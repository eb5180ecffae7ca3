"""Conversations as a source has them become turns, or are refused with a sentence."""

from typing import Any

import pytest

from ftlab.data.rows import Roles, Row, map_rows
from ftlab.data.turns import Conversation, Turn, as_text, from_text, without_last_answer
from ftlab.errors import DataError

ROLES = Roles(required=("prompt", "response"), conversation="messages")


def said(*messages: str) -> list[dict[str, str]]:
    """Return messages from texts such as `user: Hello`."""
    return [dict(zip(("role", "content"), message.split(": ", 1), strict=True)) for message in messages]


def test_turns_with_a_system_prompt() -> None:
    text = as_text(said("system: Be brief.", "user: 你好", "assistant: Hi", "user: Bye?", "assistant: Bye."), "")
    assert from_text(text) == Conversation((Turn("你好", "Hi"), Turn("Bye?", "Bye.")), "Be brief.")
    assert without_last_answer(text) == without_last_answer(text.replace("Bye.", "No."))


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        (said("assistant: Hello!", "user: a", "assistant: b"), [("a", "b")]),
        (said("user: a", "assistant: b", "user: c"), [("a", "b")]),
        (said("user: a", "user: b", "assistant: c", "assistant: d"), [("a\n\nb", "c\n\nd")]),
        (said("system:  ", "user: a", "assistant: b"), [("a", "b")]),
    ],
)
def test_what_is_odd_and_can_be_read(messages: list[dict[str, str]], turns: list[tuple[str, str]]) -> None:
    assert from_text(as_text(messages, "")) == Conversation(tuple(Turn(*turn) for turn in turns))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Hello", "this row's messages are text: a list of objects with role"),
        (None, "this row's messages are missing"),
        ([], "no message of a user is answered"),
        (said("user: a"), "no message of a user is answered"),
        (["Hello"], "message 1: this is no message"),
        ([{"role": "user"}], "message 1: this is no message"),
        (said("human: a", "assistant: b"), "message 1: role 'human' is unknown: did you mean|choices"),
        ([{"role": "user", "content": ["a"]}], "message 1: its content is a list where text is needed"),
        (said("user: a", "assistant:  "), "message 2: this message is empty"),
        (said("user: a", "assistant: b", "system: c", "user: d", "assistant: e"), "message 3: a system message stands"),
    ],
)
def test_what_cannot_be_read(messages: Any, message: str) -> None:
    rows = [Row({"chat": messages}, "chats.jsonl:7"), Row({"chat": said("user: a", "assistant: b")}, "chats.jsonl:8")]
    with pytest.raises(DataError, match=f"chats.jsonl:7.*{message}"):
        map_rows(rows, {"messages": "chat"}, ROLES, incomplete="error")
    kept, dropped = map_rows(rows, {"messages": "chat"}, ROLES, incomplete="drop")
    assert ([row.where for row in kept], dropped) == (["chats.jsonl:8"], 1)


def test_a_column_of_conversations_stands_for_all_others() -> None:
    columns = {"prompt": "instruction", "response": "output", "messages": "chat"}
    (row,), _ = map_rows([Row({"chat": said("user: a", "assistant: b")}, "")], columns, ROLES, incomplete="error")
    assert row.values.keys() == {"messages"}
