"""Text of token ids, split into spans of one or a few tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ftlab.core.escapes import escape_controls

_REPLACEMENT = "\ufffd"  # decoded from a character whose bytes continue in the next token
_MAX_TOKENS = 8  # of one character


@dataclass(frozen=True)
class TokenSpan:
    """Text of one token, or of the tokens of one character.

    Attributes:
        text: without control characters but line ends and tabs.
        in_loss: whether it has a loss.
        control: whether it is a special token.
    """

    text: str
    in_loss: bool
    control: bool = False


def token_spans(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], in_loss: Sequence[bool]
) -> tuple[TokenSpan, ...]:
    """Return the text of tokens as spans; joined, they are what the tokenizer decodes, special tokens included.

    Args:
        tokenizer: the tokenizer of the ids.
        ids: token ids.
        in_loss: for each token, whether it has a loss.
    """
    control = set(tokenizer.all_special_ids)
    spans: list[TokenSpan] = []
    previous: list[int] = []
    pending: list[int] = []
    for index, token in enumerate(ids):
        pending.append(token)
        text = _text_after(tokenizer, previous, pending)
        ends_here = index + 1 == len(ids) or in_loss[index + 1] != in_loss[index] or ids[index + 1] in control
        if text.endswith(_REPLACEMENT) and not ends_here and len(pending) < _MAX_TOKENS:
            continue
        spans.append(TokenSpan(escape_controls(text), in_loss[index], token in control))
        previous, pending = pending, []
    return tuple(spans)


def _text_after(tokenizer: PreTrainedTokenizerBase, previous: list[int], ids: list[int]) -> str:
    """Return the text that these tokens add to the previous ones; decoded alone, a first space would be lost."""
    start, whole = _decoded(tokenizer, previous), _decoded(tokenizer, [*previous, *ids])
    return whole[len(start) :] if previous and whole.startswith(start) else _decoded(tokenizer, ids)


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
