"""Conversation parser for ShareGPT's and OpenAI's messages: both become role (system, user, assistant) and content.

ShareGPT files name the keys from and value, OpenAI's files role and content; the names of the roles differ too. Flags
that say what is learned, and the reasoning before an answer, have one form as well, whatever tool they are from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftlab.data.rows.learned_flags import (
    FLAG_KEYS,
    MASK_COLUMNS,
    ROW_FLAGS,
    is_learned,
    masked_turns,
    require_learned_row,
)
from ftlab.data.rows.list_texts import parse_nested_text
from ftlab.data.rows.row import UnusableValue, value_at
from ftlab.data.rows.turns import conversation_to_json

Message = dict[str, Any]  # role, content; of an assistant also reasoning, and learned=False if it is only read

SYSTEM_COLUMNS = ("system", "system_prompt")  # LLaMA-Factory and ms-swift, OpenOrca
_ROLES = {
    "system": "system",
    "developer": "system",  # OpenAI's newer name
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatgpt", "bing", "bard"), "assistant"),
}
_TOOLS = {"tool", "function", "function_call", "function_response", "observation", "ipython"}
_TOOL_COLUMNS = ("tools", "functions")
_MEDIA_COLUMNS = ("images", "image", "videos", "video", "audios", "audio")
_SETTINGS_COLUMN = "chat_template_kwargs"  # TRL
_READ_COLUMNS = frozenset((*_TOOL_COLUMNS, *_MEDIA_COLUMNS, *ROW_FLAGS, *MASK_COLUMNS, _SETTINGS_COLUMN))
_KEYS = (("role", "content"), ("from", "value"))
_CONTINUED = ("prefix", "partial")  # Mistral and DeepSeek; Kimi and Qwen: the message only begins an answer
_REASONING = ("reasoning_content", "reasoning", "thinking")  # DeepSeek and Qwen; OpenRouter; gpt-oss
_READ_KEYS = frozenset((*FLAG_KEYS, *_REASONING, "tool_calls", "function_call", *_MEDIA_COLUMNS))
_BAD, _TOOL_CALLS = "bad conversation", "tool calls"


def turns_at(row: Mapping[str, Any], column: str) -> Any:
    """Return the turns in a column, also where a table holds them as text; what are none as it is."""
    value = value_at(row, column)
    if not isinstance(value, str):
        return value
    turns = parse_nested_text(value)
    return (value if value.strip() else None) if turns is None else turns


def parse_messages(value: Any, row: Mapping[str, Any], system_columns: Sequence[str] = SYSTEM_COLUMNS) -> list[Message]:
    """Return the messages of a conversation; an empty list for no value.

    Args:
        value: a list of objects with role and content, or from and value.
        row: all columns of the row.
        system_columns: columns of which the first with a text is the system prompt, if the conversation has none.

    Raises:
        UnusableValue: user and assistant do not alternate, the last message is not the assistant's, a message is
            empty, not text or of an unknown role, there are tool calls or images, no answer is to be learned, or
            what is to be learned is not said as 0 or 1.
    """
    if value is None or value == []:
        return []
    if not isinstance(value, list):
        raise UnusableValue(_BAD, "holds no conversation: expected is a list of turns with role and content")
    _refuse_unsupported_columns(row)
    require_learned_row(row)
    messages = [_message(turn, number) for number, turn in enumerate(masked_turns(value, row), 1)]
    column = system_column(row, system_columns)
    if column is not None and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": row[column]})
    _require_order([message["role"] for message in messages])
    if not any(message.get("learned", True) for message in messages if message["role"] == "assistant"):
        raise UnusableValue(
            "nothing to learn", "holds a conversation of which no answer is to be learned: leave it out, or flag one"
        )
    return messages


def parse_conversation(value: Any, row: Mapping[str, Any], system_columns: Sequence[str] = SYSTEM_COLUMNS) -> str:
    """Return the JSON of a conversation, with the row's own variables of the chat template; "" for no value.

    Raises:
        UnusableValue: see `parse_messages`; or the variables are no object.
    """
    messages = parse_messages(value, row, system_columns)
    return conversation_to_json(messages, _template_settings(row)) if messages else ""


def parse_history(value: Any, column: str) -> str:
    """Return the JSON of the turns before a prompt; "" for no value. It is a `Converter`.

    Args:
        value: pairs of a question and its answer (LLaMA-Factory, ms-swift), or messages.
        column: name of the column.

    Raises:
        UnusableValue: it is neither.
    """
    if value is None or value in ("", "[]", []):
        return ""
    if isinstance(value, str):
        value = parse_nested_text(value)  # of a table
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2] if isinstance(value, list) else []
    if pairs and len(pairs) == len(value):
        value = [
            {"role": role, "content": text}
            for pair in pairs
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise UnusableValue(_BAD, "holds no earlier turns: expected is a list of pairs, question and answer")
    messages = [_message(turn, number) for number, turn in enumerate(value, 1)]
    if messages:
        _require_order([message["role"] for message in messages])
    return conversation_to_json(messages) if messages else ""


def system_column(row: Mapping[str, Any], columns: Iterable[str]) -> str | None:
    """Return the first of these columns that has a text; None if none has."""
    return next((name for name in columns if isinstance(row.get(name), str) and row[name].strip()), None)


def columns_read(row: Mapping[str, Any], conversation: Sequence[Any], system_columns: Sequence[str]) -> set[str]:
    """Return the columns of a row that `parse_conversation` used, besides that of the conversation."""
    column = system_column(row, system_columns)
    first = conversation[0]
    name, content = (first.get(keys[0], first.get(keys[1])) for keys in zip(*_KEYS, strict=True))
    has_own = _ROLES.get(str(name).lower()) == "system"
    is_used = column is not None and (not has_own or content == row[column])
    return {*_READ_COLUMNS, column} if is_used and column is not None else set(_READ_COLUMNS)


def keys_not_read(turn: Mapping[str, Any]) -> list[str]:
    """Return the keys of a turn that `parse_messages` ignores; flags and reasoning are read of an assistant alone."""
    keys = next(keys for keys in _KEYS if keys[0] in turn)
    refused_if_true = [key for key in _CONTINUED if isinstance(turn.get(key), bool)]
    return [str(key) for key in turn if key not in (*keys, *refused_if_true) and key not in _READ_KEYS]


def _refuse_unsupported_columns(row: Mapping[str, Any]) -> None:
    if any(row.get(name) not in (None, "", [], "[]") for name in _TOOL_COLUMNS):
        raise UnusableValue(
            _TOOL_CALLS, "holds a conversation with tools, which training does not support: leave it out"
        )
    media = next((name for name in _MEDIA_COLUMNS if row.get(name)), None)
    if media is not None:
        raise UnusableValue(
            _BAD, f"holds a conversation about the {media} in column {media!r}, which no model here reads: leave it out"
        )


def _template_settings(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    settings = row.get(_SETTINGS_COLUMN)
    if isinstance(settings, str) and settings.strip():
        try:
            settings = json.loads(settings)
        except ValueError:
            settings = [settings]
    if not settings:
        return None
    if not isinstance(settings, Mapping):
        raise UnusableValue(
            _BAD, f"has no object of variables beside it in column {_SETTINGS_COLUMN!r}: correct it", _SETTINGS_COLUMN
        )
    return {str(name): setting for name, setting in settings.items() if setting is not None}  # null: from parquet


def _message(turn: Any, number: int) -> Message:
    if not isinstance(turn, Mapping):
        raise UnusableValue(_BAD, f"holds a conversation whose turn {number} is no object with role and content")
    if turn.get("tool_calls") or turn.get("function_call"):
        raise UnusableValue(
            _TOOL_CALLS, f"holds a tool call in turn {number}, which training does not support: leave it out"
        )
    keys = next((keys for keys in _KEYS if keys[0] in turn), None)
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
    media = next((key for key in _MEDIA_COLUMNS if turn.get(key)), None)
    if media is not None:
        raise UnusableValue(_BAD, f"holds more than text in turn {number}, such as {media}: leave it out")
    begun = next((key for key in _CONTINUED if turn.get(key) is True), None)
    if begun is not None:
        raise UnusableValue(
            _BAD,
            f"holds {begun}: true in turn {number}, which only begins an answer: write the whole answer and remove "
            f"{begun}, or leave the row out",
        )
    if isinstance(content, list):  # OpenAI's content parts
        content = _joined(content, number)
    message: Message = {"role": role, "content": _checked_text(content, keys[1], number)}
    reasoning = _reasoning(turn, role, number)
    if reasoning:
        message["reasoning"] = reasoning
    if not is_learned(turn, role, number):
        message["learned"] = False
    return message


def _checked_text(content: Any, key: str, number: int) -> str:
    if content is None or (isinstance(content, str) and not content.strip()):
        raise UnusableValue("empty turn", f"holds a conversation whose turn {number} has no {key}: fill it in")
    if not isinstance(content, str):
        raise UnusableValue(_BAD, f"holds a conversation whose turn {number} is not text: make it a text")
    try:
        content.encode()
    except UnicodeEncodeError:
        raise UnusableValue("no text", f"holds half of a surrogate pair in turn {number}: fix the text") from None
    return content


def _reasoning(turn: Mapping[str, Any], role: str, number: int) -> str:
    """Return the reasoning before an answer; that of other roles is an error, as no template has a place for it."""
    values = {key: turn[key] for key in _REASONING if turn.get(key) not in (None, "")}
    if not values:
        return ""
    key, value = next(iter(values.items()))
    if role != "assistant":
        raise UnusableValue(_BAD, f"holds a {key} of the {role} in turn {number}: only the assistant's can be learned")
    if any(other != value for other in values.values()):
        raise UnusableValue(_BAD, f"holds two texts of reasoning in turn {number} ({' and '.join(values)}): keep one")
    return _checked_text(value, key, number) if not isinstance(value, str) or value.strip() else ""


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
