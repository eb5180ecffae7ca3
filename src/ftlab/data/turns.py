"""Conversations: who asked what, what the answer was, and the one text that stands for it all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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


def as_text(messages: Sequence[Mapping[str, str]]) -> str:
    """Return the one text that stands for a conversation in its normal form, for `from_text` to read.

    Args:
        messages: role and content of each turn; see `ftlab.data.conversations`.
    """
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> Conversation:
    """Return the conversation that `as_text` wrote down."""
    messages: Sequence[Mapping[str, str]] = json.loads(text)
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    said = [message["content"] for message in messages[system is not None :]]
    return Conversation(tuple(map(Turn, said[::2], said[1::2])), system)


def without_last_answer(text: str) -> str:
    """Return what of a conversation the model is given for its last answer, as one text."""
    return json.dumps(json.loads(text)[:-1], ensure_ascii=False, separators=(",", ":"))
