"""Sequence to sequence: a text goes in, another comes out; summaries, translations, answers."""

from collections.abc import Mapping
from typing import Any

from ftlab.data.answered import AnsweredData
from ftlab.data.rows import Columns, Roles
from ftlab.data.turns import Conversation, Turn
from ftlab.groups import DatasetConfig
from ftlab.tasks.spec import SEQ2SEQ


class Seq2SeqData(AnsweredData):
    """A source and its target. Encoder-decoders read the one and write the other, decoders go on from a template."""

    roles = Roles(required=("source", "target"), given=("source",))
    kind = SEQ2SEQ

    def __init__(self, *args: Any, prefix: str | None = None, **settings: Any) -> None:
        """Take the rows; see `AnsweredData`.

        Args:
            args: see `DataModule`.
            prefix: what stands ahead of every source and says what to do, as in T5: `summarize: `.
            settings: see `AnsweredData`.
        """
        super().__init__(*args, **settings)
        self.prefix = prefix or ""

    @classmethod
    def arguments(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Take the prefix too; see `AnsweredData`."""
        return super().arguments(config, columns) | {"prefix": config.prefix}

    def conversation(self, values: Mapping[str, str]) -> Conversation:
        """See `AnsweredData`."""
        return Conversation((Turn(self.prefix + values["source"].strip(), values["target"]),))
