"""Preview of running text, whose examples are no rows."""

from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.masking import Masking
from ftlab.preview.kind_preview import ShownExample, TokensPreview, shown_tokens


class RunningTextPreview(TokensPreview):
    """The first examples, masked as in validation, the same every time."""

    def sample(self, data: DataModule, tokenizer: PreTrainedTokenizerBase, count: int) -> list[ShownExample]:
        """See `KindPreview`; `count` is the number of examples."""
        train, rows = data.splits["train"], 1
        examples: list[Example] = []
        while len(examples) <= count and rows < 2 * len(train):
            examples, rows = data.encode(tokenizer, train[:rows]).examples, 2 * rows
        masking = Masking.of(tokenizer) if data.kind.masks else None
        return [
            shown_tokens(data, tokenizer, masking(example, number) if masking else example, f"example {number + 1}")
            for number, example in enumerate(examples[:count])
        ]
