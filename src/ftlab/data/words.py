"""From words to sub-tokens: each word is tokenized by itself, so it is known which tokens are whose."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ftlab.data.tokens import frame, plain_ids

_UNSPACED = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"  # Chinese and Japanese, and their points
_PIECES = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True)
class Encoding:
    """A sentence as the model reads it.

    Attributes:
        ids: tokens, control tokens included.
        places: of each word, where in `ids` it begins; -1: it is beyond the end, or the tokenizer makes nothing of it.
        cut: whether the sentence lost tokens.
    """

    ids: list[int]
    places: list[int]
    cut: bool


class WordTokenizer:
    """Tokenizes sentences that are lists of words, for any tokenizer, in Rust or in Python.

    A word has the space in front of it that it has in running text, where the tokenizer wants one (GPT-2, RoBERTa:
    what `add_prefix_space` is for), and none between two characters of Chinese. So a sentence gets the tokens that it
    gets as a text, but no token spans two words.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Find out whether this tokenizer wants a space."""
        self.tokenizer = tokenizer
        self.before, self.behind = frame(tokenizer)
        running, first, spaced = plain_ids(tokenizer, ["b a", "b", " a"])
        self.space = " " if first + spaced == running else ""
        self._known: dict[str, list[int]] = {}

    def encode(self, sentences: Sequence[Sequence[str]], most: int) -> list[Encoding]:
        """Return sentences of at most so many tokens."""
        texts = [[*self._texts(words)] for words in sentences]
        new = sorted({text for sentence in texts for text in sentence} - set(self._known))
        self._known |= zip(new, plain_ids(self.tokenizer, new), strict=True)
        return [self._encoded(sentence, most - len(self.before) - len(self.behind)) for sentence in texts]

    def _encoded(self, texts: Sequence[str], room: int) -> Encoding:
        ids: list[int] = []
        places: list[int] = []
        for text in texts:
            tokens = self._known[text]
            seen = bool(tokens) and len(ids) < room
            places.append(len(self.before) + len(ids) if seen else -1)
            ids += tokens
        return Encoding([*self.before, *ids[:room], *self.behind], places, len(ids) > room)

    def _texts(self, words: Sequence[str]) -> Iterable[str]:
        before = ""
        for word in words:
            spaced = before and not (_unspaced(before[-1:]) and _unspaced(word[:1]))
            yield f"{self.space}{word}" if spaced else word
            before = word


def words_of(text: str) -> list[str]:
    """Return the words of a text: what spaces part, without the punctuation around it, which is words too.

    Characters of Chinese and Japanese are words of their own.
    """
    found: list[str] = []
    for piece in _PIECES.findall(text):
        first, last = 0, len(piece)
        while first < last and _is_punctuation(piece[first]):
            first += 1
        while last > first and _is_punctuation(piece[last - 1]):
            last -= 1
        found += [*piece[:first], *([piece[first:last]] if first < last else []), *piece[last:]]
    return found


def offsets(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return start and end of each word in the text, in characters; the words are in it, in this order."""
    found, end = [], 0
    for word in words:
        start = text.index(word, end)
        end = start + len(word)
        found.append((start, end))
    return found


def _unspaced(character: str) -> bool:
    return re.match(f"[{_UNSPACED}]", character) is not None


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
