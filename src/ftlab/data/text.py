"""Plain text for language modelling: concatenated documents, split into examples of equal length."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.base import DataModule
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.example import Example, Tokens
from ftlab.data.encoding.masking import masked_count
from ftlab.data.encoding.tokens import bytes_per_token, eos_id, plain_ids, special_tokens_around, tokenize_in_chunks
from ftlab.data.rows.excerpt import Excerpt, make_excerpt
from ftlab.data.rows.row import Row, canonical_json
from ftlab.data.rows.splits import SplitKey
from ftlab.kinds.masked_lm import KIND as MASKED_LM
from ftlab.kinds.text import KIND as TEXT

_BLOCKS = 100  # blocks of neighbouring rows that are assigned to a split together

Stream = tuple[Tokens, NDArray[np.int64] | None]  # tokens, and the bytes of text of each if they are known


class Document(NamedTuple):
    """A document of the stream.

    Attributes:
        where: location of its row.
        text: its text.
        ids: its tokens, with those that end it.
        spans: first character of each token and the one after its last, (0, 0) for special tokens; those that end the
            document may be left out. None for tokenizers that do not report them.
    """

    where: str
    text: str
    ids: list[int]
    spans: list[tuple[int, int]] | None


class RunningText(DataModule):
    """Concatenated documents; an example has a fixed number of tokens and may span documents."""

    @property
    def task(self) -> Task:
        """Language modelling of the text."""
        return Task.of(self.kind)

    @abstractmethod
    def documents(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Document]:
        """Yield the documents of the rows, whose tokens are the stream."""

    @abstractmethod
    def token_stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """Return the concatenated tokens of the rows."""

    @abstractmethod
    def split_stream(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """Split the stream into examples of equal length; the last may be shorter."""

    @abstractmethod
    def tokens_per_example(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return how many tokens of the stream one example has."""

    def excerpts(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Excerpt]:
        """Yield for each example of these rows the text in which its tokens are, and where that begins."""
        size = self.tokens_per_example(tokenizer)
        where, pieces, filled = "", list[str](), 0
        for document in (document for chunk in self.chunks(rows) for document in self.documents(tokenizer, chunk)):
            start, num_tokens = 0, len(document.ids)
            while start < num_tokens:
                where = where if filled else document.where
                end = min(num_tokens, start + size - filled)
                spans = (document.spans or [])[start:end]
                pieces.append(document.text[spans[0][0] : max(last for _, last in spans)] if spans else "")
                start, filled = end, filled + end - start
                if filled == size:
                    yield _excerpt(pieces, where)
                    pieces, filled = [], 0
        if filled:
            yield _excerpt(pieces, where)

    @classmethod
    def split_keys(cls, rows: Sequence[Row]) -> Iterator[SplitKey]:
        """Keep neighbouring rows in one split: lines of one document in train and test would leak the document."""
        size = max(1, len(rows) // _BLOCKS)
        for start in range(0, len(rows), size):
            texts = [row.values["text"] for row in rows[start : start + size]]
            key = SplitKey(canonical_json({"": texts}))
            yield from (key for _ in texts)

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Concatenate the rows and split them into examples."""
        return self._encode_stream(tokenizer, self.token_stream(tokenizer, rows))

    def encode_chunks(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[EncodedRows]:
        """Encode chunk by chunk; tokens that fill no example go into the next chunk, as in one stream."""
        size = self.tokens_per_example(tokenizer)
        remainder: list[Stream] = []
        for chunk in self.chunks(rows):
            tokens, sizes = _concatenate([*remainder, self.token_stream(tokenizer, chunk)])
            end = len(tokens) // size * size
            yield self._encode_stream(tokenizer, (tokens[:end], None if sizes is None else sizes[:end]))
            remainder = [(tokens[end:], None if sizes is None else sizes[end:])]
        yield self._encode_stream(tokenizer, remainder[0])

    def _encode_stream(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> EncodedRows:
        examples = self.split_stream(tokenizer, stream)
        return EncodedRows(examples, [example.input_ids.tobytes().hex() for example in examples], 0, {})


class TextData(RunningText):
    """Text for causal language modelling; an example has max_length tokens, all with a loss."""

    kind = TEXT

    def tokens_per_example(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """See `RunningText`."""
        return self.max_length

    def token_stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """Concatenate the rows, each ended by eos; bytes of a row that no token covers count for its eos token.

        In a corpus the name of the eos token ends a document (`<|endoftext|>`), so it does here. All other names of
        special tokens are ordinary text.
        """
        parts: list[Stream] = []
        for _, text, ids, spans in self.documents(tokenizer, rows):
            ends = None if spans is None else [last for _, last in spans]
            parts.append((np.array(ids, np.int32), None if ends is None else bytes_per_token(text, ends, len(ids))))
        return _concatenate(parts)

    def documents(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Document]:
        """See `RunningText`."""
        end, name = eos_id(tokenizer), str(tokenizer.eos_token)
        texts = [(row.where, document) for row in rows for document in _documents(row.values["text"], name)]
        bare = [text.removesuffix(name) for _, text in texts]
        settings = {"return_offsets_mapping": tokenizer.is_fast, "return_token_type_ids": False}
        next_text = iter(texts)
        for batch in tokenize_in_chunks(tokenizer, bare, **settings):
            for number, ids in enumerate(batch["input_ids"]):
                spans = batch["offset_mapping"][number] if tokenizer.is_fast else None
                yield Document(*next(next_text), ids if ids[-1:] == [end] else [*ids, end], spans)

    def split_stream(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """See `RunningText`; the first token of an example is not predicted, so its bytes do not count."""
        tokens, sizes = stream
        examples = []
        for start in range(0, len(tokens), self.max_length):
            chunk = tokens[start : start + self.max_length]
            if len(chunk) > 1:  # a single token has no next token to predict
                size = None if sizes is None else int(sizes[start + 1 : start + self.max_length].sum())
                examples.append(Example(chunk, chunk, text_bytes=size))
        return examples


class MaskedTextData(RunningText):
    """Text for masked language modelling, masked when batches are made; max_length includes the special tokens."""

    kind = MASKED_LM

    def tokens_per_example(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """See `RunningText`."""
        return self.max_length - sum(map(len, special_tokens_around(tokenizer)))

    def token_stream(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Stream:
        """Concatenate the rows, separated by the special tokens after a text (`[SEP]`)."""
        _, suffix = special_tokens_around(tokenizer)
        texts = plain_ids(tokenizer, [row.values["text"] for row in rows])
        return np.array([token for ids in texts for token in (*ids, *suffix)], np.int32), None

    def documents(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Document]:
        """See `RunningText`."""
        _, suffix = special_tokens_around(tokenizer)
        settings = {"add_special_tokens": False, "return_token_type_ids": False}
        next_row = iter(rows)
        for batch in tokenize_in_chunks(
            tokenizer,
            [row.values["text"] for row in rows],
            split_added_tokens=True,
            return_offsets_mapping=tokenizer.is_fast,
            **settings,
        ):
            for number, ids in enumerate(batch["input_ids"]):
                row, spans = next(next_row), batch["offset_mapping"][number] if tokenizer.is_fast else None
                yield Document(row.where, row.values["text"], [*ids, *suffix], spans)

    def split_stream(self, tokenizer: PreTrainedTokenizerBase, stream: Stream) -> list[Example]:
        """See `RunningText`; each example has the special tokens of a text, and none of them is predicted."""
        (prefix, suffix), size = special_tokens_around(tokenizer), self.tokens_per_example(tokenizer)
        special_ids = [*tokenizer.all_special_ids]
        examples = []
        for start in range(0, len(stream[0]), size):
            ids = np.array([*prefix, *stream[0][start : start + size], *suffix], np.int32)
            labels = np.where(np.isin(ids, special_ids), np.int32(IGNORE_INDEX), ids)
            if (labels != IGNORE_INDEX).any():
                examples.append(Example(ids, labels))
        return examples

    def num_loss_tokens(self, example: Example) -> int:
        """Return how many tokens will be masked and predicted."""
        return masked_count(int((np.asarray(example.labels) != IGNORE_INDEX).sum()))


def _excerpt(pieces: Sequence[str], where: str) -> Excerpt:
    """Return the excerpt of an example; without a text if the tokenizer does not say where its tokens are."""
    text = "\n".join(piece for piece in pieces if piece)
    return make_excerpt([text], where) if text else replace(make_excerpt([""], where), text=None)


def _documents(text: str, separator: str) -> list[str]:
    """Return the documents of a text, each but the last with the separator that ends it."""
    *ended, rest = text.split(separator)
    return [*(f"{document}{separator}" for document in ended), *([rest] if rest or not ended else [])]


def _concatenate(parts: Sequence[Stream]) -> Stream:
    sizes = [size for _, size in parts if size is not None]
    return np.concatenate([tokens for tokens, _ in parts]), np.concatenate(sizes) if sizes else None
