"""Preview of sentences with a tag for each word."""

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.escapes import escape_controls
from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.rows.row import Row
from ftlab.preview.kind_preview import KindPreview, ShownExample
from ftlab.preview.token_spans import token_spans


class TagsPreview(KindPreview):
    """The tokens of a sentence, and below them each word with its tag."""

    with_loss = "the first token of each word, which has its tag"
    counted = "words"

    def show(
        self, data: DataModule, tokenizer: PreTrainedTokenizerBase, example: Example, row: Row, where: str
    ) -> ShownExample:
        """See `KindPreview`."""
        assert example.tags is not None
        assert example.places is not None
        tagged = zip(row.values["tokens"], example.tags.tolist(), example.places.tolist(), strict=True)
        labels = data.task_for_model.labels
        words = tuple((escape_controls(word), labels[tag], position >= 0) for word, tag, position in tagged)
        in_loss = (np.asarray(example.labels) != IGNORE_INDEX).tolist()
        inputs = token_spans(tokenizer, example.input_ids.tolist(), in_loss)
        return ShownExample(where, inputs=inputs, tagged_words=words)

    def labels_of(self, row: Row) -> list[str]:
        """See `KindPreview`."""
        return list(row.values["tags"])
