"""Instructions and conversations: prompts with responses, one or many turns."""

from collections.abc import Iterable, Iterator, Mapping

from ftlab.data.answered import AnsweredData
from ftlab.data.rows import Roles, Row, canonical
from ftlab.data.splits import Unit
from ftlab.data.turns import Conversation, Turn, from_text, without_last_answer
from ftlab.tasks.spec import INSTRUCTION

_MESSAGES = "messages"


class InstructionData(AnsweredData):
    """A prompt, an input where there is one, and the response; or whole conversations, of which each answer counts."""

    roles = Roles(
        required=("prompt", "response"), optional=("input",), given=("prompt", "input"), conversation=_MESSAGES
    )
    kind = INSTRUCTION

    @classmethod
    def by_text(cls, rows: Iterable[Row]) -> Iterator[Unit]:
        """See `DataModule`; of a conversation the last answer alone is not given."""
        return (
            Unit(
                without_last_answer(row.values[_MESSAGES])
                if _MESSAGES in row.values
                else canonical({role: row.values.get(role) for role in cls.roles.given})
            )
            for row in rows
        )

    def conversation(self, values: Mapping[str, str]) -> Conversation:
        """See `AnsweredData`."""
        if _MESSAGES in values:
            return from_text(values[_MESSAGES])
        return Conversation((Turn(values["prompt"], values["response"], values.get("input", "")),))
