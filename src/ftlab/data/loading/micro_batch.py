"""Micro-batch splitter: smaller micro-batches of few tokens, with less memory and padding and the same gradient.

Rows of similar length share a smaller micro-batch. The loss weight of the micro-batch is distributed in proportion to
the tokens with a loss, so that the sum of the smaller losses is the loss of the micro-batch, up to rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from ftlab.config.task import Task
from ftlab.data.encoding.encoded_split import TokenizedSplit
from ftlab.data.encoding.example import Counts
from ftlab.data.loading.packing import first_fit_decreasing
from ftlab.data.loading.sampler import BatchIndices

_OVERHEAD = 32  # tokens that take about as long as the fixed cost of a micro-batch


@dataclass(frozen=True)
class MicroBatchSplitter:
    """Splits micro-batches into smaller ones.

    Attributes:
        lengths: one or two arrays, (examples,) each: number of tokens of each row; for an encoder-decoder, of the
            encoder and of the decoder.
        num_loss_tokens: number of tokens with a loss of each row.
        max_tokens: maximum number of tokens of a micro-batch, padding included; a longer row is a micro-batch of its
            own. None for no limit.
        packed_length: number of tokens of a row of packed examples; None for one example per row.
    """

    lengths: tuple[Counts, ...]
    num_loss_tokens: Counts
    max_tokens: int | None
    packed_length: int | None = None

    @classmethod
    def of(
        cls, train: TokenizedSplit, task_for_model: Task, max_tokens: int | None, packed_length: int | None = None
    ) -> "MicroBatchSplitter":
        """Return the splitter of micro-batches of a training split."""
        lengths = (train.lengths, train.num_loss_tokens) if task_for_model.decoder_writes else (train.lengths,)
        return cls(lengths, train.num_loss_tokens, max_tokens, packed_length)

    def __call__(self, indices: BatchIndices) -> list[BatchIndices]:
        """Return smaller micro-batches, the longest rows first; a micro-batch within the limit is not split."""
        total = int(self.num_loss_tokens[indices.rows].sum())
        if self.max_tokens is None or not total:
            return [indices]
        groups = self._split(indices.rows, self.max_tokens)
        if len(groups) == 1:
            return [indices]
        micro_batches = []
        for group in groups:
            rows = [indices.rows[position] for position in group]
            weight = indices.loss_weight * int(self.num_loss_tokens[rows].sum()) / total
            micro_batches.append(BatchIndices(rows, [indices.epochs[position] for position in group], weight))
        return micro_batches

    def num_tokens(self, micro_batch: BatchIndices) -> int:
        """Return the number of tokens of a micro-batch, without padding."""
        return sum(int(lengths[micro_batch.rows].sum()) for lengths in self.lengths)

    def num_positions(self, micro_batch: BatchIndices) -> int:
        """Return the number of tokens of a micro-batch, padding included."""
        if self.packed_length is None:
            return len(micro_batch.rows) * sum(int(lengths[micro_batch.rows].max()) for lengths in self.lengths)
        lengths = self.lengths[0][micro_batch.rows]
        packed_rows = first_fit_decreasing(lengths.tolist(), self.packed_length)
        return len(packed_rows) * max(int(lengths[indices].sum()) for indices in packed_rows)

    def _split(self, rows: list[int], max_tokens: int) -> list[list[int]]:
        if self.packed_length is None:
            lengths = [tuple(int(array[row]) for array in self.lengths) for row in rows]
            return group_by_length(lengths, max_tokens)
        packed_rows = first_fit_decreasing(self.lengths[0][rows].tolist(), self.packed_length)
        size = max(1, max_tokens // self.packed_length)  # packed rows of a micro-batch; packing it again gives the same
        return [list(chain(*packed_rows[first : first + size])) for first in range(0, len(packed_rows), size)]


def group_by_length(lengths: Sequence[tuple[int, ...]], max_tokens: int) -> list[list[int]]:
    """Group examples of similar length, the longest first.

    Dynamic programming over the examples in order of their length: no other grouping in this order has fewer tokens,
    padding and a constant overhead per group included.

    Args:
        lengths: number of tokens of each example; for an encoder-decoder, of encoder and decoder.
        max_tokens: maximum number of tokens of a group, padding included; a longer example is a group of its own.

    Returns:
        For each group, the indices of its examples.
    """
    order = sorted(range(len(lengths)), key=lambda index: -sum(lengths[index]))
    best: list[tuple[int, int]] = [(0, 0)]  # for the first n examples: tokens, and where the last group begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        cheapest = (best[end - 1][0] + sum(longest) + _OVERHEAD, end - 1)
        for start in range(end - 2, -1, -1):
            longest = tuple(map(max, longest, lengths[order[start]]))
            tokens = (end - start) * sum(longest)
            if tokens > max_tokens:
                break
            cheapest = min(cheapest, (best[start][0] + tokens + _OVERHEAD, start))
        best.append(cheapest)
    groups, end = [], len(order)
    while end:
        start = best[end][1]
        groups.append(order[start:end])
        end = start
    return groups[::-1]
