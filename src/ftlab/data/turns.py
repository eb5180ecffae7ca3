"""Conversations: who asked what, what the answer was, and the one text that stands for it all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftlab.errors import DataError, did_you_mean

_ROLES = ("system", "user", "assistant")
_FORM = "a list of objects with role (system, user, assistant) and content is needed"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer; `input` is what the question is about, where the data has that apart."""

    prompt: str
    response: str
    input: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, oldest first, at least one; `system` is the conversation's own, None where it has none."""

    turns: tuple[Turn, ...]
    system: str | None = None


def as_text(messages: Any, where: str) -> str:
    """Return the one text that stands for a conversation, for `from_text` to read.

    What answers nothing at the start and what has no answer at the end are cut off; messages of one role that follow
    each other become one.

    Args:
        messages: a list of `{"role": …, "content": …}`, as OpenAI has it.
        where: the row, for error messages.

    Raises:
        DataError: it is no such list, a system message comes late, or nothing is answered.
    """
    if not isinstance(messages, list):
        raise DataError(f"{where}: this row's messages are {_kind(messages)}: {_FORM}.")
    merged: list[dict[str, str]] = []
    for number, message in enumerate(messages, 1):
        role, content = _checked(message, f"{where}, message {number}")
        if role == "system" and not content.strip():
            continue
        if role == "system" and any(earlier["role"] != "system" for earlier in merged):
            raise DataError(f"{where}, message {number}: a system message stands behind others: put it first.")
        if role == "assistant" and not any(earlier["role"] == "user" for earlier in merged):
            continue
        if merged and merged[-1]["role"] == role:
            merged[-1] = {"role": role, "content": f"{merged[-1]['content']}\n\n{content}"}
        else:
            merged.append({"role": role, "content": content})
    while merged and merged[-1]["role"] != "assistant":
        merged.pop()
    if not merged:
        raise DataError(
            f"{where}: no message of a user is answered: mend it, or set dataset.incomplete=drop to leave it out."
        )
    return json.dumps(merged, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Conversation:
    """Return the conversation that `as_text` wrote down."""
    messages: Sequence[Mapping[str, str]] = json.loads(text)
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    said = [message["content"] for message in messages[system is not None :]]
    return Conversation(tuple(map(Turn, said[::2], said[1::2])), system)


def without_last_answer(text: str) -> str:
    """Return what of a conversation the model is given for its last answer, as one text."""
    return json.dumps(json.loads(text)[:-1], ensure_ascii=False, separators=(",", ":"))


def _checked(message: Any, where: str) -> tuple[str, str]:
    if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
        raise DataError(f"{where}: this is no message: {_FORM}.")
    role, content = message["role"], message["content"]
    if role not in _ROLES:
        raise DataError(f"{where}: role {role!r} is unknown: {did_you_mean(str(role), _ROLES)}.")
    if not isinstance(content, str):
        raise DataError(f"{where}: its content is {_kind(content)} where text is needed.")
    if role != "system" and not content.strip():
        raise DataError(f"{where}: this message is empty: mend it, or set dataset.incomplete=drop.")
    return role, content


def _kind(value: Any) -> str:
    return {"list": "a list", "dict": "an object", "NoneType": "missing", "str": "text"}.get(
        type(value).__name__, f"of type {type(value).__name__}"
    )
