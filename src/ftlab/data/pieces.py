"""A micro-batch cut into pieces of few tokens, learned one after another: less memory, less padding, the same gradient.

Rows of about the same length share a piece. Each piece has the part of the micro-batch's share that its labelled tokens
have of all of them, so that the sum over the pieces is the micro-batch's loss, up to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch

from ftlab.data.dealing import Counts, Dealt
from ftlab.data.encoded import Tokenized
from ftlab.data.packing import bins
from ftlab.tasks.spec import Task

Batch = dict[str, torch.Tensor]

_PIECE = 32  # tokens that take about as long as what a piece costs beside its tokens


@dataclass(frozen=True)
class Cut:
    """Cuts micro-batches.

    Attributes:
        widths: one or two columns, (examples,) each: tokens of each row; and of those that a decoder writes, where an
            encoder reads the others.
        learned: of each row, how many losses are averaged over it.
        limit: most tokens of a piece, padding included; a longer row is a piece of its own. None: nothing is cut.
        room: tokens of a row that packed examples share; None: a row each.
    """

    widths: tuple[Counts, ...]
    learned: Counts
    limit: int | None
    room: int | None = None

    @classmethod
    def of(cls, train: Tokenized, posed: Task, limit: int | None, room: int | None = None) -> "Cut":
        """Return what cuts batches of these rows, on which this task is posed."""
        writes = posed.auto_class == "AutoModelForSeq2SeqLM"
        widths = (train.lengths, train.learned) if writes else (train.lengths,)
        return cls(widths, train.learned, limit, room)

    def __call__(self, dealt: Dealt) -> list[Dealt]:
        """Return the pieces, the longest rows first; what fits into one stays as it is."""
        total = int(self.learned[dealt.rows].sum())
        if self.limit is None or not total:
            return [dealt]
        parted = self._parted(dealt.rows, self.limit)
        if len(parted) == 1:
            return [dealt]
        pieces = []
        for places in parted:
            rows = [dealt.rows[place] for place in places]
            share = dealt.share * int(self.learned[rows].sum()) / total
            pieces.append(Dealt(rows, [dealt.epochs[place] for place in places], share))
        return pieces

    def tokens(self, piece: Dealt) -> int:
        """Return the tokens of a piece, without padding."""
        return sum(int(column[piece.rows].sum()) for column in self.widths)

    def positions(self, piece: Dealt) -> int:
        """Return the tokens that a piece takes up, padding included."""
        if self.room is None:
            return len(piece.rows) * sum(int(column[piece.rows].max()) for column in self.widths)
        lengths = self.widths[0][piece.rows]
        shared = bins(lengths.tolist(), self.room)
        return len(shared) * max(int(lengths[numbers].sum()) for numbers in shared)

    def _parted(self, rows: list[int], limit: int) -> list[list[int]]:
        if self.room is None:
            return groups([tuple(int(column[row]) for column in self.widths) for row in rows], limit)
        shared = bins(self.widths[0][rows].tolist(), self.room)
        several = max(1, limit // self.room)  # rows of a piece; its examples find the same places in them again
        return [list(chain(*shared[first : first + several])) for first in range(0, len(shared), several)]


def groups(widths: Sequence[tuple[int, ...]], limit: int) -> list[list[int]]:
    """Group examples of about the same length, the longest first.

    Of all ways to part the examples in the order of their length, this takes up the fewest tokens, padding included,
    where each group counts as a few tokens more.

    Args:
        widths: of each example, the tokens in each of its rows.
        limit: most tokens of a group, padding included; a longer example is a group of its own.

    Returns:
        For each group, the numbers of its examples.
    """
    order = sorted(range(len(widths)), key=lambda number: -sum(widths[number]))
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n: tokens, and where the last group begins
    for end in range(1, len(order) + 1):
        widest = widths[order[end - 1]]
        found = (best[end - 1][0] + sum(widest) + _PIECE, end - 1)
        for start in range(end - 2, -1, -1):
            widest = tuple(map(max, widest, widths[order[start]]))
            tokens = (end - start) * sum(widest)
            if tokens > limit:
                break
            found = min(found, (best[start][0] + tokens + _PIECE, start))
        best.append(found)
    cut, end = [], len(order)
    while end:
        start = best[end][1]
        cut.append(order[start:end])
        end = start
    return cut[::-1]


def in_pieces(batch: Batch | list[Batch]) -> list[Batch]:
    """Return the pieces of what a training loader gives: a micro-batch as a whole is one."""
    return batch if isinstance(batch, list) else [batch]
