"""Plain text for language modelling: documents one after the other, cut into examples of equal length."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.collate import IGNORED, Example, Tokens
from ftlab.data.encoded import Encoded
from ftlab.data.masking import masked_count
from ftlab.data.rows import Roles, Row, canonical
from ftlab.data.splits import Unit
from ftlab.data.tokens import bytes_behind, eos_id, frame, plain_ids, tokenized
from ftlab.tasks.spec import MASKED_LM, TEXT, Task

_BLOCKS = 100  # stretches of neighbouring rows that are dealt out to the splits

Stream = tuple[Tokens, NDArray[np.int64] | None]  # tokens, and the bytes of the text behind each where they are known


class RunningText(DataModule):
    """An example is so many tokens of running text, whatever documents they are from."""

    roles = Roles(required=("text",), given=("text",))

    @abstractmethod
    def stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """Return the rows as one text."""

    @abstractmethod
    def cut(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """Return examples of equal length; the last may be shorter."""

    @abstractmethod
    def room(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return how many tokens of the stream an example takes."""

    @classmethod
    def units(cls, rows: Sequence[Row]) -> Iterator[Unit]:
        """Keep neighbouring rows together: lines of one document in train and test would give the document away."""
        size = max(1, len(rows) // _BLOCKS)
        for start in range(0, len(rows), size):
            texts = [row.values["text"] for row in rows[start : start + size]]
            unit = Unit(canonical({"": texts}))
            yield from (unit for _ in texts)

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Join the rows, and cut."""
        return self._encoded_of(tokenizer, self.stream(tokenizer, rows))

    def portions(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Carry what fills no example over to the next portion, so that the cuts are those of one stream."""
        room = self.room(tokenizer)
        left: list[Stream] = []
        for portion in self.parted(rows):
            tokens, sizes = _one_after_the_other([*left, self.stream(tokenizer, portion)])
            end = len(tokens) // room * room
            yield self._encoded_of(tokenizer, (tokens[:end], None if sizes is None else sizes[:end]))
            left = [(tokens[end:], None if sizes is None else sizes[end:])]
        yield self._encoded_of(tokenizer, left[0])

    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Running text asks no questions."""
        return []

    def _encoded_of(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> Encoded:
        examples = self.cut(tokenizer, stream)
        return Encoded(examples, [example.input_ids.tobytes().hex() for example in examples], 0, {})


class TextData(RunningText):
    """Every token is learned. An example is max_length tokens."""

    @property
    def task(self) -> Task:
        """Causal language modelling."""
        return TEXT

    def room(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """See `RunningText`."""
        return self.max_length

    def stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """End every row with eos and join them; the bytes of a row that no token covers are the eos token's."""
        end, offsets = eos_id(tokenizer), tokenizer.is_fast
        texts = [row.values["text"] for row in rows]
        parts: list[Stream] = []
        for batch in tokenized(tokenizer, texts, return_offsets_mapping=offsets, return_token_type_ids=False):
            for number, ids in enumerate(batch["input_ids"]):
                tokens = np.array(ids if ids[-1:] == [end] else [*ids, end], np.int32)
                ends = [last for _, last in batch["offset_mapping"][number]] if offsets else None
                parts.append((tokens, None if ends is None else bytes_behind(texts[len(parts)], ends, len(tokens))))
        return _one_after_the_other(parts)

    def cut(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """See `RunningText`; the first token of an example has nothing that predicts it, so its bytes do not count."""
        tokens, sizes = stream
        examples = []
        for start in range(0, len(tokens), self.max_length):
            chunk = tokens[start : start + self.max_length]
            if len(chunk) > 1:  # a single token has no next one to predict
                size = None if sizes is None else int(sizes[start + 1 : start + self.max_length].sum())
                examples.append(Example(chunk, chunk, text_bytes=size))
        return examples


class MaskedTextData(RunningText):
    """Some tokens are masked when batches are made, and predicted. An example is max_length tokens with its frame."""

    @property
    def task(self) -> Task:
        """Masked language modelling."""
        return MASKED_LM

    def room(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """See `RunningText`."""
        return self.max_length - sum(map(len, frame(tokenizer)))

    def stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """Part the rows by what stands behind every text (`[SEP]`)."""
        _, closing = frame(tokenizer)
        texts = plain_ids(tokenizer, [row.values["text"] for row in rows])
        return np.array([token for ids in texts for token in (*ids, *closing)], np.int32), None

    def cut(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """See `RunningText`; each example is framed like a text, and no control token is predicted."""
        (opening, closing), room = frame(tokenizer), self.room(tokenizer)
        control = [*tokenizer.all_special_ids]
        examples = []
        for start in range(0, len(stream[0]), room):
            ids = np.array([*opening, *stream[0][start : start + room], *closing], np.int32)
            labels = np.where(np.isin(ids, control), np.int32(IGNORED), ids)
            if (labels != IGNORED).any():
                examples.append(Example(ids, labels))
        return examples

    def learned(self, example: Example) -> int:
        """Return how many tokens will be masked."""
        return masked_count(int((np.asarray(example.labels) != IGNORED).sum()))


def _one_after_the_other(parts: Sequence[Stream]) -> Stream:
    sizes = [size for _, size in parts if size is not None]
    return np.concatenate([tokens for tokens, _ in parts]), np.concatenate(sizes) if sizes else None
