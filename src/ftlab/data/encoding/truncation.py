"""Truncation of token ids: of one text or a pair, at its end, its start or its middle."""

from collections.abc import Sequence
from typing import Literal

TruncationPosition = Literal["right", "left", "middle"]

_HEAD_SHARE = 128 / 510  # of the tokens kept, with `middle`: Sun et al. (2019) keep the first 128 and the last 382


def kept_lengths(lengths: Sequence[int], room: int) -> list[int]:
    """Return how many tokens of one text, or of two with the longer one truncated first, fit into `room` tokens."""
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    first, second = lengths
    kept = min(second, max(room - first, room // 2))
    return [min(first, room - kept), kept]


def kept_positions(length: int, kept: int, side: TruncationPosition) -> list[int]:
    """Return the positions that stay of `length` tokens.

    Args:
        length: number of tokens.
        kept: number of tokens that stay, at most `length`.
        side: where tokens are lost: right keeps the first ones, left the last ones, middle a quarter of them from the
            start and the others from the end.
    """
    head = {"right": kept, "left": 0, "middle": round(kept * _HEAD_SHARE)}[side]
    return [*range(head), *range(length - (kept - head), length)]


def truncate(texts: Sequence[list[int]], room: int, side: TruncationPosition) -> list[list[int]]:
    """Return one text or two, as token ids, truncated to `room` tokens in total."""
    lengths = [len(text) for text in texts]
    return [
        [text[position] for position in kept_positions(length, kept, side)]
        for text, length, kept in zip(texts, lengths, kept_lengths(lengths, room), strict=True)
    ]
