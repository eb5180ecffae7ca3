"""Plain text for language modelling: documents one after the other, cut into examples of equal length."""

from collections.abc import Iterator, Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule, Encoded
from ftlab.data.collate import Example
from ftlab.data.rows import Roles, Row, canonical
from ftlab.data.splits import Unit
from ftlab.data.tokens import eos_id, tokenized
from ftlab.tasks.spec import TEXT, Task

_BLOCKS = 100  # stretches of neighbouring rows that are dealt out to the splits


class TextData(DataModule):
    """Every token is learned. An example is max_length tokens of running text, whatever documents they are from."""

    roles = Roles(required=("text",), given=("text",))

    @property
    def task(self) -> Task:
        """Causal language modelling."""
        return TEXT

    @classmethod
    def units(cls, rows: Sequence[Row]) -> list[Unit]:
        """Keep neighbouring rows together: lines of one document in train and test would give the document away."""
        size = max(1, len(rows) // _BLOCKS)
        blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
        return [
            Unit(key) for block in blocks for key in [canonical({"": [r.values["text"] for r in block]})] for _ in block
        ]

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """End every row with eos, join them, and cut; the last example may be shorter."""
        end = eos_id(tokenizer)
        parts = [
            np.array([*ids, end] if ids[-1:] != [end] else ids, np.int32)
            for batch in tokenized(tokenizer, [row.values["text"] for row in rows])
            for ids in batch["input_ids"]
        ]
        stream = np.concatenate(parts)
        chunks = [stream[start : start + self.max_length] for start in range(0, len(stream), self.max_length)]
        chunks = [chunk for chunk in chunks if len(chunk) > 1]  # a single token has no next one to predict
        return Encoded([Example(chunk, chunk) for chunk in chunks], [chunk.tobytes().hex() for chunk in chunks], 0, {})

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Running text asks no questions."""
        return []
