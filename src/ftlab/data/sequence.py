"""Encoding of texts, or pairs of texts, with labels that are no text; shared by all data of sequence tasks."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.example import Example, Target
from ftlab.data.encoding.tokens import tokenize_in_chunks
from ftlab.data.rows.row import Row, canonical_json

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], labels: Iterable[Target], max_length: int
) -> EncodedRows:
    """Tokenize text and pair, truncated to max_length, the longer text of a pair first.

    Args:
        tokenizer: the model's tokenizer.
        rows: rows with the roles text and, in all of them or in none, text_pair.
        labels: label of each row.
        max_length: maximum number of tokens per example, special tokens included.
    """
    examples: list[Example] = []
    truncated: int | None = 0
    paired = "text_pair" in rows[0].values
    texts = [(row.values["text"], row.values["text_pair"]) if paired else row.values["text"] for row in rows]
    next_label = iter(labels)
    for batch in tokenize_in_chunks(tokenizer, texts, truncation=True, max_length=max_length):
        segments = batch.get("token_type_ids")
        for position, ids in enumerate(batch["input_ids"]):
            examples.append(
                Example(
                    np.asarray(ids, np.int32),
                    next(next_label),
                    np.asarray(segments[position], np.int32) if segments is not None else None,
                )
            )
        if truncated is not None and batch.encodings is not None:
            truncated += sum(bool(encoding.overflowing) for encoding in batch.encodings)
        else:
            truncated = None  # tokenizers in pure Python do not report it
    return EncodedRows(examples, [canonical_json(row.values) for row in rows], truncated, {})


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
