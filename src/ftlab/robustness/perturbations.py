"""Changes of a text that leave its meaning alone, as pure functions of the text.

Of the libraries for this nlpaug had its last release in 2022 and brings pandas and gdown along, TextAttack a copy of
half the field; what is needed is a few lines each.
"""

import hashlib
import random
import re
import unicodedata
from collections.abc import Callable, Sequence

TYPO_RATE = 0.1  # share of the words of four letters or more that get one typo each
SPACE_RATE = 0.1  # share of the gaps between words that change
_SEED = "ftlab 1"  # raise the number when what comes out changes

_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")  # a typo in a short word makes another word of it too often
_NEIGHBOURS = {  # on a QWERTY keyboard
    **{"q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl"},
    **{"p": "ol", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb", "h": "gyjn", "j": "hukm"},
    **{"k": "jil", "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk"},
}
_FULL_WIDTH = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}  # ! to ~ have a wide form each
_HALF_WIDTH = {wide: narrow for narrow, wide in _FULL_WIDTH.items()}
_CHINESE = re.compile(r"[㐀-鿿]")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019](?=\w)")
_GAP = re.compile(r"(?<=\S) (?=\S)")


def typos(text: str) -> str:
    """Hit a neighbouring key, leave a letter out, double it or swap it with the next, inside a word of ASCII letters.

    At least one word is hit where there is one of four letters: a short text would stay as it is otherwise.
    """
    draw = _drawing("typos", text)
    words = [match.start() for match in _LATIN_WORD.finditer(text)]
    hit = set(draw.sample(words, max(1, round(len(words) * TYPO_RATE)))) if words else set()
    return _LATIN_WORD.sub(lambda found: _mistyped(found[0], draw) if found.start() in hit else found[0], text)


def upper(text: str) -> str:
    """Put it all in capitals."""
    return text.upper()


def lower(text: str) -> str:
    """Put it all in small letters."""
    return text.lower()


def no_punctuation(text: str) -> str:
    """Leave punctuation out: apostrophes without a trace, anything else as a space; a text of nothing else stays."""
    kept = _APOSTROPHE.sub("", text)
    spaced = "".join(" " if unicodedata.category(sign).startswith("P") else sign for sign in kept)
    return spaced if kept == spaced else re.sub(r" {2,}", " ", spaced).strip() or text


def whitespace(text: str) -> str:
    """Make two spaces, a tab or a line's end of some gaps between words, of one at least."""
    draw = _drawing("whitespace", text)
    gaps = [match.start() for match in _GAP.finditer(text)]
    hit = set(draw.sample(gaps, max(1, round(len(gaps) * SPACE_RATE)))) if gaps else set()
    return _GAP.sub(lambda found: draw.choice(("  ", "\t", "\n")) if found.start() in hit else " ", text)


def width(text: str) -> str:
    """In a text with Chinese characters turn letters, digits and signs of half width into full width, and back."""
    if not _CHINESE.search(text):
        return text
    return "".join(_FULL_WIDTH.get(sign) or _HALF_WIDTH.get(sign) or sign for sign in text)


CHANGES: dict[str, Callable[[str], str]] = {
    change.__name__: change for change in (typos, upper, lower, no_punctuation, whitespace, width)
}
KEEP_WORDS = ("upper", "lower", "width")  # those under which each word stays one word, for tagged sentences


def perturbed(value: str | Sequence[str], name: str) -> str | list[str] | None:
    """Return a text, or the words of a sentence, changed; None: this change would part or join words."""
    change = CHANGES[name]
    if isinstance(value, str):
        return change(value)
    return [change(word) for word in value] if name in KEEP_WORDS else None


def _mistyped(word: str, draw: random.Random) -> str:
    place = draw.randrange(1, len(word) - 1)  # readers forgive an error inside a word, hardly one in its first letter
    letter, following = word[place], word[place + 1]
    kinds = ["neighbour", "dropped", "doubled", *(["swapped"] if letter != following else [])]
    kind = draw.choice(kinds)
    if kind == "neighbour":
        key = draw.choice(_NEIGHBOURS[letter.lower()])
        return word[:place] + (key.upper() if letter.isupper() else key) + word[place + 1 :]
    if kind == "swapped":
        return word[:place] + following + letter + word[place + 2 :]
    return word[:place] + ("" if kind == "dropped" else letter * 2) + word[place + 1 :]


def _drawing(name: str, text: str) -> random.Random:
    """Return a generator that depends on the text alone, never on the run's seed."""
    digest = hashlib.blake2b(f"{_SEED}\t{name}\t{text}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest))
