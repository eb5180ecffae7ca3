"""What the data asks of a tokenizer, whatever its kind."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import BatchEncoding, PreTrainedTokenizerBase

from ftlab.data.collate import Tokens
from ftlab.errors import DataError

_PORTION = 1000  # texts tokenized at once


def tokenized(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str | tuple[str, str]], **settings: Any
) -> Iterator[BatchEncoding]:
    """Tokenize in portions, so that the ids of a large data set are never all Python lists at once."""
    for start in range(0, len(texts), _PORTION):
        # verbose=False: a text longer than the model reads is no news here, examples are cut afterwards; masks are made
        # of lengths when batches are, and here each would be a Python list as long as the text
        portion = list(texts[start : start + _PORTION])
        yield tokenizer(portion, verbose=False, return_attention_mask=False, **settings)


def plain_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize what the user wrote so that the name of a control token in it is text like any other."""
    bare = {"add_special_tokens": False, "return_token_type_ids": False}
    batches = tokenized(tokenizer, texts, split_special_tokens=True, **bare)
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


def unknown_counts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Tokens]) -> tuple[int, int]:
    """Return how many tokens are unknown, of how many that are no control tokens.

    Byte-level tokenizers know everything; some of them name another control token as `unk`.
    """
    unknown = tokenizer.unk_token_id
    control = {token for token in tokenizer.all_special_ids if token != unknown}
    others = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if unknown is None or unknown in others or not texts:
        return 0, 0
    tokens = np.concatenate(texts)
    tokens = tokens[~np.isin(tokens, list(control))]
    return int((tokens == unknown).sum()), len(tokens)


def bytes_behind(text: str, ends: Sequence[int], tokens: int) -> NDArray[np.int64]:
    """Return how many bytes of a text's UTF-8 each of its tokens stands for; together all of them.

    Args:
        text: what was tokenized.
        ends: for each token, the character behind its last one; 0 for control tokens.
        tokens: how many there are, of which the last one or none was added to those with an end.

    Returns:
        (tokens,). What a tokenizer leaves out (blanks) is the next token's, at the end of the text the last one's; of a
        character that is several tokens, the first has all bytes.
    """
    characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + (characters >= 0x80) + (characters >= 0x800) + (characters >= 0x10000)
    before = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    reached = np.zeros(tokens + 1, np.int64)
    reached[1 : len(ends) + 1] = before[np.maximum.accumulate(np.array(ends, np.int64))] if ends else 0
    reached[-1] = before[-1]
    return np.diff(reached)
