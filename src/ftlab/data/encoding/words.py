"""Word-by-word tokenizer for token classification: each word is tokenized separately, so its tokens are known."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ftlab.data.encoding.tokens import plain_ids, special_tokens_around

_UNSPACED = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # Chinese and Japanese, with punctuation
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True)
class EncodedSentence:
    """A tokenized sentence.

    Attributes:
        ids: token ids, special tokens included.
        word_starts: index in `ids` of the first token of each word; -1 if the word was truncated or has no tokens.
        truncated: whether the sentence lost tokens.
    """

    ids: list[int]
    word_starts: list[int]
    truncated: bool


class WordTokenizer:
    """Tokenizes sentences that are lists of words, with any tokenizer, in Rust or in pure Python.

    Each word gets the space in front of it that it has in running text if the tokenizer needs one (GPT-2, RoBERTa;
    compare `add_prefix_space`), except between two Chinese characters. So a sentence gets the same tokens as its
    running text, except that no token spans two words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Find out whether this tokenizer needs a space before a word."""
        self.tokenizer = tokenizer
        self.prefix, self.suffix = special_tokens_around(tokenizer)
        running, first, spaced = plain_ids(tokenizer, ["b a", "b", " a"])
        self.space = " " if first + spaced == running else ""
        self._ids_of: dict[str, list[int]] = {}

    def encode(self, sentences: Sequence[Sequence[str]], max_length: int) -> list[EncodedSentence]:
        """Return the tokenized sentences, truncated to `max_length` tokens."""
        texts = [[*self._texts(words)] for words in sentences]
        new = sorted({text for sentence in texts for text in sentence} - set(self._ids_of))
        self._ids_of |= zip(new, plain_ids(self.tokenizer, new), strict=True)
        room = max_length - len(self.prefix) - len(self.suffix)
        return [self._encode_sentence(sentence, room) for sentence in texts]

    def _encode_sentence(self, texts: Sequence[str], room: int) -> EncodedSentence:
        ids: list[int] = []
        word_starts: list[int] = []
        for text in texts:
            tokens = self._ids_of[text]
            is_visible = bool(tokens) and len(ids) < room
            word_starts.append(len(self.prefix) + len(ids) if is_visible else -1)
            ids += tokens
        return EncodedSentence([*self.prefix, *ids[:room], *self.suffix], word_starts, len(ids) > room)

    def _texts(self, words: Sequence[str]) -> Iterable[str]:
        for word, has_space in zip(words, _spaces(words), strict=True):
            yield f"{self.space}{word}" if has_space else word


def split_words(text: str) -> list[str]:
    """Return the words of a text, split at spaces; punctuation marks around a word are words of their own.

    Each Chinese or Japanese character is a word of its own.
    """
    words: list[str] = []
    for chunk in _WORDS.findall(text):
        first, last = 0, len(chunk)
        while first < last and _is_punctuation(chunk[first]):
            first += 1
        while last > first and _is_punctuation(chunk[last - 1]):
            last -= 1
        words += [*chunk[:first], *([chunk[first:last]] if first < last else []), *chunk[last:]]
    return words


def join_words(words: Sequence[str]) -> str:
    """Return words as running text: with spaces between them, except between two Chinese or Japanese characters."""
    return "".join(f" {word}" if has_space else word for word, has_space in zip(words, _spaces(words), strict=True))


def word_offsets(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return start and end of each word in the text, in characters; the text contains the words in this order."""
    offsets, end = [], 0
    for word in words:
        start = text.index(word, end)
        end = start + len(word)
        offsets.append((start, end))
    return offsets


def _spaces(words: Sequence[str]) -> Iterator[bool]:
    """Yield for each word whether running text has a space in front of it."""
    previous = ""
    for word in words:
        yield bool(previous) and not (_is_unspaced(previous[-1:]) and _is_unspaced(word[:1]))
        previous = word


def _is_unspaced(character: str) -> bool:
    return re.match(f"[{_UNSPACED}]", character) is not None


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
