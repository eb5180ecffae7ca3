"""Instruction data: prompts with responses, and conversations of several turns."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ftlab.config.groups import DatasetConfig
from ftlab.config.task_kind import REFERENCES
from ftlab.data.generative import GenerativeData
from ftlab.data.rows.conversations import parse_history
from ftlab.data.rows.row import Converter, Row, canonical_json
from ftlab.data.rows.splits import SplitKey
from ftlab.data.rows.turns import Conversation, Turn, conversation_from_json, without_last_response
from ftlab.kinds.instruction import KIND

_MESSAGES, _SYSTEM, _HISTORY = "messages", "system", "history"


class InstructionData(GenerativeData):
    """A prompt, an optional input and the response; or whole conversations with a loss on each response."""

    kind = KIND

    @classmethod
    def converters(cls, config: DatasetConfig) -> dict[str, Converter]:
        """Return the converter of the turns before a prompt."""
        return {_HISTORY: parse_history}

    @classmethod
    def input_keys(cls, rows: Iterable[Row]) -> Iterator[SplitKey]:
        """See `DataModule`; the input of a conversation is all of it but the last response."""
        roles = cls.kind.roles
        for row in rows:
            if _MESSAGES in row.values:
                yield SplitKey(without_last_response(row.values[_MESSAGES]))
                continue
            before = {role: row.values[role] for role in roles.sparse_inputs if role in row.values}
            yield SplitKey(canonical_json({role: row.values.get(role) for role in roles.inputs} | before))

    def conversation(self, values: Mapping[str, Any]) -> Conversation:
        """See `GenerativeData`."""
        if _MESSAGES in values:
            return conversation_from_json(values[_MESSAGES])
        before = conversation_from_json(values.get(_HISTORY) or "[]")
        others = tuple(values.get(REFERENCES, ()))
        turn = Turn(values["prompt"], values["response"], values.get("input", ""), other_responses=others)
        return Conversation((*before.turns, turn), values.get(_SYSTEM) or before.system)
