"""Token ids as the text that they stand for, piece by piece."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

_HALF = "\ufffd"  # of a character that goes on in the next token
_LONGEST = 8  # tokens of one character
_TURNS_TEXT = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Piece:
    """Some text of an example: one token's, or that of the tokens of one character.

    Attributes:
        text: of it; no control characters but line ends.
        learned: whether it has a loss.
        control: whether it is a control token.
    """

    text: str
    learned: bool
    control: bool = False


def pieces(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], learned: Sequence[bool]) -> tuple[Piece, ...]:
    """Return the text of tokens; joined, it is what the tokenizer decodes, control tokens included.

    Args:
        tokenizer: that made them.
        ids: of the tokens.
        learned: of each token, whether it has a loss.
    """
    control = set(tokenizer.all_special_ids)
    found: list[Piece] = []
    before: list[int] = []
    waiting: list[int] = []
    for place, token in enumerate(ids):
        waiting.append(token)
        text = _text_of(tokenizer, before, waiting)
        last = place + 1 == len(ids) or learned[place + 1] != learned[place] or ids[place + 1] in control
        if text.endswith(_HALF) and not last and len(waiting) < _LONGEST:
            continue
        found.append(Piece(harmless(text), learned[place], token in control))
        before, waiting = waiting, []
    return tuple(found)


def harmless(text: str) -> str:
    """Return text in which what would steer a terminal is written out, and so is what turns text around."""
    return "".join(
        _written_out(one)
        if one in _TURNS_TEXT or (one not in "\n\t" and unicodedata.category(one) in ("Cc", "Cs"))
        else one
        for one in text
    )


def _written_out(one: str) -> str:
    return f"\\x{ord(one):02x}" if ord(one) < 0x100 else f"\\u{ord(one):04x}"


def _text_of(tokenizer: PreTrainedTokenizerBase, before: list[int], ids: list[int]) -> str:
    """Return what these tokens add to those before: decoders take the space off a first one."""
    start, whole = _decoded(tokenizer, before), _decoded(tokenizer, [*before, *ids])
    return whole[len(start) :] if before and whole.startswith(start) else _decoded(tokenizer, ids)


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
