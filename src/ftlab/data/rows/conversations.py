"""Conversation parser for ShareGPT's and OpenAI's messages: both become role (system, user, assistant) and content.

ShareGPT files name the keys from and value, OpenAI's files role and content; the names of the roles differ too.
"""

from collections.abc import Mapping
from typing import Any

from ftlab.data.rows.row import UnusableValue

Message = dict[str, str]  # role, content

_ROLES = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "bing", "bard"), "assistant"),
}
_TOOLS = {"tool", "function", "function_call", "function_response", "observation", "ipython"}
_BAD, _TOOL_CALLS = "bad conversation", "tool calls"


def parse_messages(value: Any, row: Mapping[str, Any]) -> list[Message]:
    """Return the messages of a conversation; an empty list for no value.

    Args:
        value: a list of objects with role and content, or from and value.
        row: all columns of the row. A column named system is the system prompt if the conversation has none.

    Raises:
        UnusableValue: user and assistant do not alternate, the last message is not the assistant's, a message is
            empty, not text or of an unknown role, or there are tool calls.
    """
    if value is None or value == []:
        return []
    if not isinstance(value, list):
        raise UnusableValue(_BAD, "holds no conversation: expected is a list of turns with role and content")
    if row.get("tools") not in (None, "", [], "[]"):
        raise UnusableValue(
            _TOOL_CALLS, "holds a conversation with tools, which training does not support: leave it out"
        )
    messages = [_message(turn, number) for number, turn in enumerate(value, 1)]
    system = row.get("system")
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    _require_order([message["role"] for message in messages])
    return messages


def _message(turn: Any, number: int) -> Message:
    if not isinstance(turn, Mapping):
        raise UnusableValue(_BAD, f"holds a conversation whose turn {number} is no object with role and content")
    if turn.get("tool_calls") or turn.get("function_call"):
        raise UnusableValue(
            _TOOL_CALLS, f"holds a tool call in turn {number}, which training does not support: leave it out"
        )
    keys = next((keys for keys in (("role", "content"), ("from", "value")) if keys[0] in turn), None)
    if keys is None:
        raise UnusableValue(
            _BAD, f"holds a conversation whose turn {number} has neither role nor from: add the speaker's role"
        )
    name, content = turn[keys[0]], turn.get(keys[1])
    if str(name).lower() in _TOOLS:
        raise UnusableValue(
            _TOOL_CALLS, f"holds a tool's answer in turn {number}, which training does not support: leave it out"
        )
    role = _ROLES.get(str(name).lower())
    if role is None:
        raise UnusableValue(_BAD, f"holds the role {name!r} in turn {number}: expected is system, user or assistant")
    if isinstance(content, list):  # OpenAI's content parts
        content = _joined(content, number)
    if content is None or (isinstance(content, str) and not content.strip()):
        raise UnusableValue("empty turn", f"holds a conversation whose turn {number} has no {keys[1]}: fill it in")
    if not isinstance(content, str):
        raise UnusableValue(_BAD, f"holds a conversation whose turn {number} is not text: make it a text")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise UnusableValue("no text", f"holds half of a surrogate pair in turn {number}: fix the text") from None
    return {"role": role, "content": content}


def _joined(parts: list[Any], number: int) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise UnusableValue(_BAD, f"holds more than text in turn {number}, such as images: leave it out")
    return "".join(map(str, texts))


def _require_order(roles: list[str]) -> None:
    spoken = roles[1:] if roles[0] == "system" else roles
    if "system" in spoken:
        raise UnusableValue(_BAD, "holds a system prompt that is not the first turn: move it to the front")
    for number, role in enumerate(spoken, 1):
        if role != ("user", "assistant")[(number - 1) % 2]:
            problem = "begins with the assistant" if number == 1 else f"has two turns of the {role} in a row"
            raise UnusableValue(_BAD, f"holds a conversation that {problem}: user and assistant must take turns")
    if not spoken or spoken[-1] != "assistant":
        raise UnusableValue(
            _BAD, "holds a conversation without an answer at its end: there is nothing to learn from it"
        )
