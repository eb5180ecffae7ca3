"""Sequence-to-sequence data: source texts with target texts, as in summarization and translation."""

from collections.abc import Mapping
from typing import Any

from ftlab.config.groups import DatasetConfig
from ftlab.config.task_kind import REFERENCES
from ftlab.data.generative import GenerativeData
from ftlab.data.rows.row import Columns
from ftlab.data.rows.turns import Conversation, Turn
from ftlab.kinds.seq2seq import KIND


class Seq2SeqData(GenerativeData):
    """A source and its target: encoder input and decoder output, or for decoders prompt and response in a template."""

    kind = KIND

    def __init__(self, *args: Any, prefix: str | None = None, **settings: Any) -> None:
        """Take the rows; see `GenerativeData`.

        Args:
            args: see `DataModule`.
            prefix: text before every source that names the task, as in T5: `summarize: `.
            settings: see `GenerativeData`.
        """
        super().__init__(*args, **settings)
        self.prefix = prefix or ""

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the prefix too; see `GenerativeData`."""
        return super().init_args(config, columns) | {"prefix": config.prefix}

    def conversation(self, values: Mapping[str, Any]) -> Conversation:
        """See `GenerativeData`."""
        others = tuple(values.get(REFERENCES, ()))
        return Conversation((Turn(self.prefix + values["source"].strip(), values["target"], other_responses=others),))
