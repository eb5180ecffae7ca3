"""Conversations in their normal form: a list of turns, each with a role (system, user, assistant) and its content.

ShareGPT files say from and value, OpenAI's say role and content; names of roles differ too.
"""

from collections.abc import Mapping
from typing import Any

from ftlab.data.rows import NotUsable

Turn = dict[str, str]  # role, content

_ROLES = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "bing", "bard"), "assistant"),
}
_TOOLS = {"tool", "function", "function_call", "function_response", "observation", "ipython"}
_BAD, _TOOL_CALLS = "bad conversation", "tool calls"


def turns(value: Any, row: Mapping[str, Any]) -> list[Turn]:
    """Return the turns of a conversation; an empty one for no value.

    Args:
        value: a list of objects with role and content, or from and value.
        row: all columns of it. One that is named system is the system prompt where the conversation has none.

    Raises:
        NotUsable: it does not alternate between user and assistant and end with the latter, a turn is empty, of an
            unknown role or no text, or it has tool calls.
    """
    if value is None or value == []:
        return []
    if not isinstance(value, list):
        raise NotUsable(_BAD, "holds no conversation: expected is a list of turns with role and content")
    if row.get("tools") not in (None, "", [], "[]"):
        raise NotUsable(_TOOL_CALLS, "holds a conversation with tools, which are not trained on: leave it out")
    found = [_turn(turn, number) for number, turn in enumerate(value, 1)]
    system = row.get("system")
    if isinstance(system, str) and system.strip() and found[0]["role"] != "system":
        found.insert(0, {"role": "system", "content": system})
    _require_order([turn["role"] for turn in found])
    return found


def _turn(turn: Any, number: int) -> Turn:
    if not isinstance(turn, Mapping):
        raise NotUsable(_BAD, f"holds a conversation whose turn {number} is no object with role and content")
    if turn.get("tool_calls") or turn.get("function_call"):
        raise NotUsable(_TOOL_CALLS, f"holds a tool call in turn {number}, which is not trained on: leave it out")
    keys = next((keys for keys in (("role", "content"), ("from", "value")) if keys[0] in turn), None)
    if keys is None:
        raise NotUsable(_BAD, f"holds a conversation whose turn {number} has neither role nor from: say who speaks")
    name, content = turn[keys[0]], turn.get(keys[1])
    if str(name).lower() in _TOOLS:
        raise NotUsable(_TOOL_CALLS, f"holds a tool's answer in turn {number}, which is not trained on: leave it out")
    role = _ROLES.get(str(name).lower())
    if role is None:
        raise NotUsable(_BAD, f"holds the role {name!r} in turn {number}: expected is system, user or assistant")
    if isinstance(content, list):  # OpenAI's parts
        content = _joined(content, number)
    if content is None or (isinstance(content, str) and not content.strip()):
        raise NotUsable("empty turn", f"holds a conversation whose turn {number} has no {keys[1]}: mend it")
    if not isinstance(content, str):
        raise NotUsable(_BAD, f"holds a conversation whose turn {number} is no text: mend it")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise NotUsable("no text", f"holds half of a surrogate pair in turn {number}: mend it") from None
    return {"role": role, "content": content}


def _joined(parts: list[Any], number: int) -> str:
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    if len(texts) != len(parts) or not all(isinstance(text, str) for text in texts):
        raise NotUsable(_BAD, f"holds more than text in turn {number}, as images: leave it out")
    return "".join(map(str, texts))


def _require_order(roles: list[str]) -> None:
    spoken = roles[1:] if roles[0] == "system" else roles
    if "system" in spoken:
        raise NotUsable(_BAD, "holds a system prompt that is not the first turn: mend it")
    for number, role in enumerate(spoken, 1):
        if role != ("user", "assistant")[(number - 1) % 2]:
            place = "begins with the assistant" if number == 1 else f"has two turns of the {role} in a row"
            raise NotUsable(_BAD, f"holds a conversation that {place}: user and assistant must take turns")
    if not spoken or spoken[-1] != "assistant":
        raise NotUsable(_BAD, "holds a conversation without an answer at its end: there is nothing to learn from it")
