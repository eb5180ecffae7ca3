"""The text that stands for a conversation."""

from ftlab.data.rows.turns import (
    Conversation,
    Turn,
    conversation_from_json,
    conversation_to_json,
    without_last_response,
)


def said(*messages: str) -> list[dict[str, str]]:
    """Return messages from texts such as `user: Hello`."""
    return [dict(zip(("role", "content"), message.split(": ", 1), strict=True)) for message in messages]


def test_turns_with_a_system_prompt() -> None:
    text = conversation_to_json(
        said("system: Be brief.", "user: 你好", "assistant: Hi", "user: Bye?", "assistant: Bye.")
    )
    assert conversation_from_json(text) == Conversation((Turn("你好", "Hi"), Turn("Bye?", "Bye.")), "Be brief.")
    assert without_last_response(text) == without_last_response(text.replace("Bye.", "No."))
