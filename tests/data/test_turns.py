"""The text that stands for a conversation."""

from ftlab.data.turns import Conversation, Turn, as_text, from_text, without_last_answer


def said(*messages: str) -> list[dict[str, str]]:
    """Return messages from texts such as `user: Hello`."""
    return [dict(zip(("role", "content"), message.split(": ", 1), strict=True)) for message in messages]


def test_turns_with_a_system_prompt() -> None:
    text = as_text(said("system: Be brief.", "user: 你好", "assistant: Hi", "user: Bye?", "assistant: Bye."))
    assert from_text(text) == Conversation((Turn("你好", "Hi"), Turn("Bye?", "Bye.")), "Be brief.")
    assert without_last_answer(text) == without_last_answer(text.replace("Bye.", "No."))
