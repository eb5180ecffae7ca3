"""Encoding of texts, or pairs of texts, with labels that are no text; shared by all data of sequence tasks."""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.data.base import DataModule
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.example import Example, Target
from ftlab.data.encoding.tokens import plain_ids, tokenize_in_chunks
from ftlab.data.encoding.truncation import TruncationPosition, truncate
from ftlab.data.rows.row import Columns, Row, canonical_json

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class SequenceData(DataModule):
    """Texts, or pairs of texts, whose labels are no text; texts are truncated to max_length."""

    def __init__(self, *args: Any, truncation: TruncationPosition = "right", **settings: Any) -> None:
        """Take the rows; see `DataModule`.

        Args:
            args: see `DataModule`.
            truncation: where long texts lose tokens: at their end, at their start, or in the middle.
            settings: see `DataModule`.
        """
        super().__init__(*args, **settings)
        self.truncation = truncation

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the side on which texts are truncated; see `__init__`."""
        return {"truncation": config.truncation}


def encode_texts(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    labels: Iterable[Target],
    max_length: int,
    truncation: TruncationPosition = "right",
) -> EncodedRows:
    """Tokenize text and pair, truncated to max_length, the longer text of a pair first.

    Args:
        tokenizer: the model's tokenizer.
        rows: rows with the roles text and, in all of them or in none, text_pair.
        labels: label of each row.
        max_length: maximum number of tokens per example, special tokens included.
        truncation: where a long text loses tokens; special tokens stay.
    """
    examples: list[Example] = []
    truncated: int | None = 0
    paired = "text_pair" in rows[0].values
    texts = [(row.values["text"], row.values["text_pair"]) if paired else row.values["text"] for row in rows]
    next_label, next_text = iter(labels), iter(texts)
    at_end = truncation == "right"
    settings = {"truncation": True, "max_length": max_length} if at_end else {"return_special_tokens_mask": True}
    for batch in tokenize_in_chunks(tokenizer, texts, **settings):
        segments = batch.get("token_type_ids")
        for position, ids in enumerate(batch["input_ids"]):
            text = next(next_text)
            kept: Sequence[int] | slice = slice(None)
            if not at_end and len(ids) > max_length:
                truncated = (truncated or 0) + 1
                kept = _kept(tokenizer, text, batch["special_tokens_mask"][position], max_length, truncation)
            examples.append(
                Example(
                    np.asarray(ids, np.int32)[kept],
                    next(next_label),
                    np.asarray(segments[position], np.int32)[kept] if segments is not None else None,
                )
            )
        if not at_end:
            continue
        if truncated is not None and batch.encodings is not None:
            truncated += sum(bool(encoding.overflowing) for encoding in batch.encodings)
        else:
            truncated = None  # tokenizers in pure Python do not report it
    return EncodedRows(examples, [canonical_json(row.values) for row in rows], truncated, {})


def _kept(
    tokenizer: PreTrainedTokenizerBase,
    text: str | tuple[str, str],
    special_tokens_mask: Sequence[int],
    max_length: int,
    side: TruncationPosition,
) -> list[int]:
    """Return the positions of an example that stay: all special tokens, and as much of the texts as fits.

    Args:
        tokenizer: the model's tokenizer.
        text: the text or the pair.
        special_tokens_mask: of the whole example, 1 where a token is from no text.
        max_length: maximum number of tokens.
        side: see `encode_texts`.
    """
    special = [position for position, is_special in enumerate(special_tokens_mask) if is_special]
    of_texts = [position for position, is_special in enumerate(special_tokens_mask) if not is_special]
    first = len(of_texts)
    if isinstance(text, tuple):
        first -= len(plain_ids(tokenizer, [text[1]])[0])  # not every tokenizer separates the texts of a pair
    texts = [of_texts[:first], of_texts[first:]] if isinstance(text, tuple) else [of_texts]
    return sorted([*special, *chain.from_iterable(truncate(texts, max_length - len(special), side))])


def sort_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Return label names in a fixed order: numbers by size if all are numbers, else alphabetically."""
    by_name = sorted(names)
    if all(NUMBER.fullmatch(name) for name in by_name):
        return tuple(sorted(by_name, key=float))
    return tuple(by_name)


def parse_list(text: str) -> list[Any]:
    """Return the list in the JSON text of a role, as a converter wrote it."""
    values: list[Any] = json.loads(text)
    return values
