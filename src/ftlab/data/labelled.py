"""Texts, or pairs of texts, with an answer that is no text: what all kinds of such data share."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ftlab.data.collate import Answer, Example
from ftlab.data.encoded import Encoded
from ftlab.data.rows import Row, canonical
from ftlab.data.tokens import tokenized

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], answers: Iterable[Answer], max_length: int
) -> Encoded:
    """Tokenize text and pair, cut to max_length: of a pair the longer text first.

    Args:
        tokenizer: makes ids of the text.
        rows: with the roles text and, in all of them or in none, text_pair.
        answers: what the model is to say of each row.
        max_length: tokens per example, special tokens included.
    """
    examples: list[Example] = []
    truncated: int | None = 0
    paired = "text_pair" in rows[0].values
    texts = [(row.values["text"], row.values["text_pair"]) if paired else row.values["text"] for row in rows]
    waiting = iter(answers)
    for batch in tokenized(tokenizer, texts, truncation=True, max_length=max_length):
        segments = batch.get("token_type_ids")
        for position, ids in enumerate(batch["input_ids"]):
            examples.append(
                Example(
                    np.asarray(ids, np.int32),
                    next(waiting),
                    np.asarray(segments[position], np.int32) if segments is not None else None,
                )
            )
        if truncated is not None and batch.encodings is not None:
            truncated += sum(bool(encoding.overflowing) for encoding in batch.encodings)
        else:
            truncated = None  # tokenizers in pure Python do not say
    return Encoded(examples, [canonical(row.values) for row in rows], truncated, {})


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in the one order that they always have: numbers by size, names by name."""
    by_name = sorted(names)
    if all(NUMBER.fullmatch(name) for name in by_name):
        return tuple(sorted(by_name, key=float))
    return tuple(by_name)


def parsed(text: str) -> list[Any]:
    """Return the list that a reader has put into a role as JSON text."""
    found: list[Any] = json.loads(text)
    return found
