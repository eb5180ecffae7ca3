"""Instruction data: prompts with responses, and conversations of several turns."""

from collections.abc import Iterable, Iterator, Mapping

from ftlab.data.generative import GenerativeData
from ftlab.data.rows.row import Row, canonical_json
from ftlab.data.rows.splits import SplitKey
from ftlab.data.rows.turns import Conversation, Turn, conversation_from_json, without_last_response
from ftlab.kinds.instruction import KIND

_MESSAGES = "messages"


class InstructionData(GenerativeData):
    """A prompt, an optional input and the response; or whole conversations with a loss on each response."""

    kind = KIND

    @classmethod
    def input_keys(cls, rows: Iterable[Row]) -> Iterator[SplitKey]:
        """See `DataModule`; the input of a conversation is all of it but the last response."""
        return (
            SplitKey(
                without_last_response(row.values[_MESSAGES])
                if _MESSAGES in row.values
                else canonical_json({role: row.values.get(role) for role in cls.kind.roles.inputs})
            )
            for row in rows
        )

    def conversation(self, values: Mapping[str, str]) -> Conversation:
        """See `GenerativeData`."""
        if _MESSAGES in values:
            return conversation_from_json(values[_MESSAGES])
        return Conversation((Turn(values["prompt"], values["response"], values.get("input", "")),))
