"""Characters that control a terminal, or the direction of text: escaped, so that text of others shows as it is."""

import unicodedata

_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escape_controls(text: str) -> str:
    """Return a text with such characters as their numbers, in Python's notation; line ends and tabs stay."""
    if text.isprintable():  # the most frequent case, and a fast test
        return text
    return "".join(_escaped(character) if _is_control(character) else character for character in text)


def _is_control(character: str) -> bool:
    if character in _BIDI_CONTROLS:
        return True
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
