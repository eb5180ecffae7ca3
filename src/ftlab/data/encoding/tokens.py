"""Tokenizer helpers that work with every tokenizer: token ids of texts, special tokens, unknown tokens."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import BatchEncoding, PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.encoding.example import Tokens

_CHUNK = 1000  # texts tokenized at once


def tokenize_in_chunks(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str | tuple[str, str]],
    *,
    split_added_tokens: bool = False,
    **settings: Any,
) -> Iterator[BatchEncoding]:
    """Tokenize the user's texts, or pairs of them, in which the name of a special token is ordinary text.

    It goes chunk by chunk, so that the ids of a large data set are never all Python lists at once.

    Args:
        tokenizer: the model's tokenizer.
        texts: texts, or pairs of them.
        split_added_tokens: whether a tokenizer in pure Python splits other added tokens too.
        settings: further arguments of the tokenizer.
    """
    # verbose=False: no warning about texts longer than the context, since examples are truncated afterwards. No
    # attention masks: the collator makes them from the lengths, and here each would be a Python list.
    settings |= {"verbose": False, "return_attention_mask": False}
    names = _Names(tokenizer)
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        if tokenizer.is_fast:  # there, other added tokens stay whole
            yield tokenizer(list(chunk), split_special_tokens=True, **settings)
            continue
        for mentions, run in groupby(chunk, names.mentioned_in):
            plain = list(map(names.hidden_in, run))
            yield tokenizer(plain, split_special_tokens=mentions or split_added_tokens, **settings)


def plain_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize the user's texts without the special tokens around them; see `tokenize_in_chunks`."""
    options = {"add_special_tokens": False, "return_token_type_ids": False}
    batches = tokenize_in_chunks(tokenizer, texts, split_added_tokens=True, **options)
    return [list(ids) for batch in batches for ids in batch["input_ids"]]


class _Names:
    """Names of the special tokens of a tokenizer in pure Python, as they occur in texts."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._names: list[str] = []
        self._stubborn: re.Pattern[str] | None = None
        if tokenizer.is_fast:
            return
        self._names = control_tokens(tokenizer)
        # BERT's own code in Python looks for the names once more, whatever it is told
        stubborn = [name for name in self._names if name in tokenizer.tokenize(name, split_special_tokens=True)]
        if stubborn:
            self._stubborn = re.compile("|".join(map(re.escape, stubborn)))

    def mentioned_in(self, text: str | tuple[str, str]) -> bool:
        """Return whether a text, or one of a pair, has such a name."""
        parts = (text,) if isinstance(text, str) else text
        return any(name in part for name in self._names for part in parts)

    def hidden_in(self, text: str | tuple[str, str]) -> str | tuple[str, str]:
        """Return the text with a space in the names that the tokenizer would recognise nevertheless."""
        if self._stubborn is None:
            return text
        if isinstance(text, tuple):
            return self._hidden(text[0]), self._hidden(text[1])
        return self._hidden(text)

    def _hidden(self, text: str) -> str:
        return self._stubborn.sub(lambda name: f"{name[0][:1]} {name[0][1:]}", text) if self._stubborn else text


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the names of the special tokens, longest first."""
    added = tokenizer.added_tokens_decoder.values()
    names = {*tokenizer.all_special_tokens, *(str(token) for token in added if token.special)}
    return sorted(filter(None, names), key=lambda name: (-len(name), name))


def template_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokenize the fixed text of a template, in which the name of a special token is that token."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def special_tokens_around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the special tokens that this tokenizer puts before and after every text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, is_special = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    start, end = is_special.index(0), len(ids) - is_special[::-1].index(0)
    return ids[:start], ids[end:]


def eos_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the end-of-text token.

    Raises:
        DataError: the tokenizer has none.
    """
    if tokenizer.eos_token_id is None:
        raise DataError("this model's tokenizer has no end-of-text token: use a model that generates text.")
    return int(tokenizer.eos_token_id)


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id that pads batches; any id will do, since masks are made from the lengths."""
    candidates = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(int(token) for token in candidates if token is not None)


def unknown_counts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[Tokens]) -> tuple[int, int]:
    """Return the number of unknown tokens, and of all tokens except special tokens.

    Byte-level tokenizers have no unknown tokens; some of them set another special token as `unk_token`.
    """
    unknown = tokenizer.unk_token_id
    special_ids = {token for token in tokenizer.all_special_ids if token != unknown}
    other_roles = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    if unknown is None or unknown in other_roles or not texts:
        return 0, 0
    tokens = np.concatenate(texts)
    tokens = tokens[~np.isin(tokens, list(special_ids))]
    return int((tokens == unknown).sum()), len(tokens)


def bytes_per_token(text: str, ends: Sequence[int], tokens: int) -> NDArray[np.int64]:
    """Return the number of UTF-8 bytes of the text that each token covers; they sum to the length of the text.

    Args:
        text: the text that was tokenized.
        ends: for each token, the index after its last character; 0 for special tokens.
        tokens: number of tokens; one more than `ends` if a token without an end was appended.

    Returns:
        (tokens,). Characters that the tokenizer leaves out (blanks) count for the next token, at the end of the text
        for the last one. If a character is several tokens, all its bytes count for the first.
    """
    characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + (characters >= 0x80) + (characters >= 0x800) + (characters >= 0x10000)
    bytes_before = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])  # each character
    bytes_until = np.zeros(tokens + 1, np.int64)
    bytes_until[1 : len(ends) + 1] = bytes_before[np.maximum.accumulate(np.array(ends, np.int64))] if ends else 0
    bytes_until[-1] = bytes_before[-1]
    return np.diff(bytes_until)
