"""Conversations as pairs of prompt and response, and their JSON, which is the value of a row."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SETTINGS = "chat_template_kwargs"


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its response.

    Attributes:
        prompt: the user's text.
        response: the assistant's text.
        input: the text that the prompt refers to, if that is a column of its own.
        reasoning: what the assistant thought before the response, if that is a key of its own.
        learned: whether the response may have a loss; False: it is only read.
        other_responses: texts that are as right as the response, and are not learned.
    """

    prompt: str
    response: str
    input: str = ""
    reasoning: str = ""
    learned: bool = True
    other_responses: tuple[str, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """Every right response; that which is learned comes first."""
        return self.response, *self.other_responses


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation.

    Attributes:
        turns: oldest first, at least one.
        system: the conversation's own system prompt; None if it has none.
        template_settings: JSON of the variables of the chat template that the row sets; "" if it sets none.
    """

    turns: tuple[Turn, ...]
    system: str | None = None
    template_settings: str = ""


def conversation_to_json(messages: Sequence[Mapping[str, Any]], settings: Mapping[str, Any] | None = None) -> str:
    """Return the JSON of a conversation, for `conversation_from_json` to read.

    Args:
        messages: role and content of each; see `ftlab.data.rows.conversations`.
        settings: variables of the chat template that the row sets.
    """
    return _to_json({"messages": messages, _SETTINGS: settings} if settings else messages)


def conversation_from_json(text: str) -> Conversation:
    """Return the conversation that `conversation_to_json` wrote."""
    value: Any = json.loads(text)
    settings = value[_SETTINGS] if isinstance(value, dict) else None
    messages: Sequence[Mapping[str, Any]] = value["messages"] if isinstance(value, dict) else value
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
    return Conversation(tuple(_turns(messages[system is not None :])), system, _to_json(settings) if settings else "")


def without_last_response(text: str) -> str:
    """Return the JSON of a conversation without its last response: the prompt of that response."""
    value: Any = json.loads(text)
    if isinstance(value, dict):
        return _to_json({**value, "messages": value["messages"][:-1]})
    return _to_json(value[:-1])


def _turns(messages: Sequence[Mapping[str, Any]]) -> Iterator[Turn]:
    for user, assistant in zip(messages[::2], messages[1::2], strict=True):
        yield Turn(
            user["content"],
            assistant["content"],
            reasoning=assistant.get("reasoning", ""),
            learned=assistant.get("learned", True),
        )


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
