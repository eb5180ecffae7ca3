"""What the data asks of a tokenizer, whatever its kind."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from transformers import BatchEncoding, PreTrainedTokenizerBase

from ftlab.data.collate import Tokens
from ftlab.errors import DataError

_PORTION = 1000  # texts tokenized at once


def tokenized(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str | tuple[str, str]], **settings: Any
) -> Iterator[BatchEncoding]:
    """Tokenize in portions, so that the ids of a large data set are never all Python lists at once."""
    for start in range(0, len(texts), _PORTION):
        # verbose=False: a text longer than the model reads is no news here, examples are cut afterwards
        yield tokenizer(list(texts[start : start + _PORTION]), verbose=False, **settings)


def plain_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize what the user wrote so that the name of a control token in it is text like any other."""
    batches = tokenized(tokenizer, texts, add_special_tokens=False, split_special_tokens=True)
    return [list(ids) for batch in batches for ids in batch["input_ids"]]


def fixed_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokenize text of ours, in which the name of a control token is that token."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the control tokens that this tokenizer puts before and behind every text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, special = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    first, last = special.index(0), len(ids) - special[::-1].index(0)
    return ids[:first], ids[last:]


def eos_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the token that ends a text.

    Raises:
        DataError: the tokenizer has none.
    """
    if tokenizer.eos_token_id is None:
        raise DataError("this model's tokenizer has no end-of-text token: use a model that is made to write text.")
    return int(tokenizer.eos_token_id)


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return what batches are padded with: any id will do, since masks come from the lengths."""
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(int(token) for token in known if token is not None)


def unknown_share(tokenizer: PreTrainedTokenizerBase, texts: Iterable[Tokens]) -> float:
    """Return the share of unknown tokens among those that are no control tokens.

    Byte-level tokenizers know everything; some of them name another control token as `unk`.
    """
    unknown = tokenizer.unk_token_id
    control = {token for token in tokenizer.all_special_ids if token != unknown}
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    parts = list(texts)
    if unknown is None or unknown in others or not parts:
        return 0.0
    tokens = np.concatenate(parts)
    tokens = tokens[~np.isin(tokens, list(control))]
    return float(np.mean(tokens == unknown)) if len(tokens) else 0.0
