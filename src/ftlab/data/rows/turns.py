"""Conversations as pairs of prompt and response, and their JSON, which is the value of a row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its response; `input` is the text that the prompt refers to, if that is a column of its own."""

    prompt: str
    response: str
    input: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, oldest first, at least one; `system` is the conversation's own system prompt, None if it has none."""

    turns: tuple[Turn, ...]
    system: str | None = None


def conversation_to_json(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the JSON of a conversation, for `conversation_from_json` to read.

    Args:
        messages: role and content of each; see `ftlab.data.rows.conversations`.
    """
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def conversation_from_json(text: str) -> Conversation:
    """Return the conversation that `conversation_to_json` wrote."""
    messages: Sequence[Mapping[str, str]] = json.loads(text)
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    contents = [message["content"] for message in messages[system is not None :]]
    return Conversation(tuple(map(Turn, contents[::2], contents[1::2])), system)


def without_last_response(text: str) -> str:
    """Return the JSON of a conversation without its last response: the prompt of that response."""
    return json.dumps(json.loads(text)[:-1], ensure_ascii=False, separators=(",", ":"))
