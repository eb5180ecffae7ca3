"""Text perturbations that preserve the meaning, as pure functions of the text.

There are libraries for this, but nlpaug had its last release in 2022 and depends on pandas and gdown, and TextAttack
has many more dependencies; each perturbation takes only a few lines.
"""

import hashlib
import random
import re
import unicodedata
from collections.abc import Callable, Sequence

TYPO_RATE = 0.1  # share of the words of four letters or more that get one typo each
SPACE_RATE = 0.1  # share of the gaps between words that change
_SEED = "ftlab 1"  # increase the number when the output changes

_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")  # a typo often turns a shorter word into another one
_NEIGHBOURS = {  # on a QWERTY keyboard
    **{"q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl"},
    **{"p": "ol", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb", "h": "gyjn", "j": "hukm"},
    **{"k": "jil", "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk"},
}
_FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}  # ! to ~ each have a wide form
_HALF_WIDTH = {wide: narrow for narrow, wide in _FULL_WIDTH.items()}
_CHINESE = re.compile(r"[㐀-鿿]")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")
_GAP = re.compile(r"(?<=\S) (?=\S)")


def typos(text: str) -> str:
    """Hit a neighbouring key, drop a letter, double it or swap it with the next one, in some words of ASCII letters.

    At least one word changes if one has four letters; short texts would stay as they are otherwise.
    """
    rng = _rng_for("typos", text)
    starts = [match.start() for match in _LATIN_WORD.finditer(text)]
    chosen = set(rng.sample(starts, max(1, round(len(starts) * TYPO_RATE)))) if starts else set()
    return _LATIN_WORD.sub(lambda match: _with_typo(match[0], rng) if match.start() in chosen else match[0], text)


def upper(text: str) -> str:
    """Convert the text to upper case."""
    return text.upper()


def lower(text: str) -> str:
    """Convert the text to lower case."""
    return text.lower()


def no_punctuation(text: str) -> str:
    """Remove apostrophes, and replace other punctuation by a space; a text of punctuation alone stays as it is."""
    joined = _APOSTROPHE.sub("", text)
    spaced = "".join(" " if unicodedata.category(character).startswith("P") else character for character in joined)
    return spaced if joined == spaced else re.sub(r" {2,}", " ", spaced).strip() or text


def whitespace(text: str) -> str:
    """Replace some spaces between words, at least one, by two spaces, a tab or a line break."""
    rng = _rng_for("whitespace", text)
    starts = [match.start() for match in _GAP.finditer(text)]
    chosen = set(rng.sample(starts, max(1, round(len(starts) * SPACE_RATE)))) if starts else set()
    return _GAP.sub(lambda match: rng.choice(("  ", "\t", "\n")) if match.start() in chosen else " ", text)


def width(text: str) -> str:
    """Swap half-width and full-width letters, digits and signs in a text with Chinese characters."""
    if not _CHINESE.search(text):
        return text
    return "".join(_FULL_WIDTH.get(character) or _HALF_WIDTH.get(character) or character for character in text)


PERTURBATION_FUNCTIONS: dict[str, Callable[[str], str]] = {
    function.__name__: function for function in (typos, upper, lower, no_punctuation, whitespace, width)
}
KEEP_WORDS = ("upper", "lower", "width")  # perturbations that keep the number of words, for tagged sentences


def perturb(value: str | Sequence[str], name: str) -> str | list[str] | None:
    """Return the perturbed text or words; None for words that this perturbation could split or join."""
    function = PERTURBATION_FUNCTIONS[name]
    if isinstance(value, str):
        return function(value)
    return [function(word) for word in value] if name in KEEP_WORDS else None


def _with_typo(word: str, rng: random.Random) -> str:
    index = rng.randrange(1, len(word) - 1)  # not the first letter, where readers stumble over an error
    letter, next_letter = word[index], word[index + 1]
    kinds = ["neighbour", "dropped", "doubled", *(["swapped"] if letter != next_letter else [])]
    kind = rng.choice(kinds)
    if kind == "neighbour":
        key = rng.choice(_NEIGHBOURS[letter.lower()])
        return word[:index] + (key.upper() if letter.isupper() else key) + word[index + 1 :]
    if kind == "swapped":
        return word[:index] + next_letter + letter + word[index + 2 :]
    return word[:index] + ("" if kind == "dropped" else letter * 2) + word[index + 1 :]


def _rng_for(name: str, text: str) -> random.Random:
    """Return a random generator that depends only on perturbation and text, never on the run's seed."""
    digest = hashlib.blake2b(f"{_SEED}\t{name}\t{text}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest))
