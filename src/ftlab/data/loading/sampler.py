"""Batch sampler that fills every micro-batch: shuffled training rows, epoch after epoch, for a whole run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from ftlab.data.encoding.example import Counts

# Takes the positions `first` and `last` (exclusive) in the run's sequence of sampled rows, over all processes; returns
# the row numbers there and their epochs. It is called for one range after the other; the first may begin anywhere.
RowOrder = Callable[[int, int], tuple[list[int], list[int]]]

_POOL = 50  # steps whose rows are sorted by length together, as in Hugging Face's LengthGroupedSampler


@dataclass(frozen=True, slots=True)
class BatchIndices:
    """One micro-batch of one process.

    Attributes:
        rows: row numbers.
        epochs: epoch of each row, that is how often it was sampled before.
        loss_weight: factor of the mean loss of the micro-batch. Gradients are averaged over the micro-batches of a
            step and over processes with equal weight; with this factor, every token of the step has equal weight.
    """

    rows: list[int]
    epochs: list[int]
    loss_weight: float


class BatchSampler(Sampler[BatchIndices]):
    """Infinite shuffled batch sampler with full micro-batches only: a batch may contain rows of two epochs.

    The rows of a step, and so its gradient, do not depend on the number of processes and micro-batches that share it.
    Sampling can start at any batch, so that a run can be resumed.
    """

    def __init__(
        self,
        rows: int,
        *,
        micro_batch_size: int,
        batches: int,
        start: int,
        seed: int,
        rank: int,
        world_size: int,
        accumulate: int = 1,
        num_loss_tokens: Counts | None = None,
        lengths: Counts | None = None,
        row_order: RowOrder | None = None,
    ) -> None:
        """Set up the sampler of one process.

        Args:
            rows: number of training rows; each epoch is a new permutation of them.
            micro_batch_size: rows per batch and process.
            batches: number of batches of the whole run, per process.
            start: number of batches that are done already.
            seed: decides the order of every epoch.
            rank: index of this process.
            world_size: number of processes.
            accumulate: batches per optimizer step and process.
            num_loss_tokens: number of tokens with a loss of each row; None for one each.
            lengths: number of tokens of each row, to let rows of similar length share a step; None for no grouping.
            row_order: order of the rows, see `RowOrder`; None for a permutation of all rows per epoch.
        """
        self._rows = rows
        self._size = micro_batch_size * world_size  # rows of a micro-batch over all processes
        self._batches = range(start, batches)
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._accumulate = accumulate
        self._num_loss_tokens = np.ones(rows, np.int32) if num_loss_tokens is None else num_loss_tokens
        self._lengths = lengths
        self._row_order = row_order
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[BatchIndices]:
        step, tokens = -1, 0
        rows: list[int] = []  # of the whole step, over all processes
        epochs: list[int] = []
        for batch in self._batches:
            if batch // self._accumulate != step:
                step = batch // self._accumulate
                rows, epochs = self._step(step)
                tokens = self._tokens(rows)
            first = batch % self._accumulate * self._size
            of_rank = slice(first + self._rank, first + self._size, self._world_size)
            weight = self._tokens(rows[of_rank]) * self._accumulate * self._world_size / tokens if tokens else 1.0
            yield BatchIndices(rows[of_rank], epochs[of_rank], weight)

    def steps_within(self, cost: Counts, limit: float) -> int:
        """Return the number of optimizer steps, from the first one on, whose total cost is within the limit.

        Args:
            cost: cost of each row, (rows,); above zero.
            limit: maximum total cost.
        """
        per_step = self._size * self._accumulate
        steps, spent, left = 0, 0, np.empty(0, np.int64)
        for epoch in count():
            left = np.concatenate([left, cost[self._order(epoch)]])
            num_steps = len(left) // per_step
            sums = spent + left[: num_steps * per_step].reshape(num_steps, per_step).sum(1).cumsum()
            fitting = int(np.searchsorted(sums, limit, side="right"))
            if fitting < num_steps:
                return steps + fitting
            steps, spent, left = steps + num_steps, int(sums[-1]) if num_steps else spent, left[num_steps * per_step :]
        raise AssertionError("epochs never end")

    def _tokens(self, rows: list[int]) -> int:
        return int(self._num_loss_tokens[rows].sum())

    def _step(self, step: int) -> tuple[list[int], list[int]]:
        per_step = self._size * self._accumulate
        if self._row_order is not None:
            return self._row_order(step * per_step, (step + 1) * per_step)
        rows, epochs = [], []
        for position in range(step * per_step, (step + 1) * per_step):
            epoch = position // self._rows
            if epoch != self._epoch:
                self._epoch, self._permutation = epoch, self._order(epoch)
            rows.append(int(self._permutation[position % self._rows]))
            epochs.append(epoch)
        return rows, epochs

    def _order(self, epoch: int) -> NDArray[np.int64]:
        generator = torch.Generator().manual_seed(self._seed + epoch)
        order: NDArray[np.int64] = torch.randperm(self._rows, generator=generator).numpy()
        if self._lengths is None:
            return order
        per_step = self._size * self._accumulate
        # Rows that complete the last step of the previous epoch, and rows left for the next epoch, are not grouped.
        first = min(-epoch * self._rows % per_step, self._rows)
        steps = (self._rows - first) // per_step
        end = first + steps * per_step
        pools = np.split(order[first:end], range(_POOL * per_step, steps * per_step, _POOL * per_step))
        by_length = [pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools]
        grouped = np.concatenate(by_length).reshape(steps, per_step)
        shuffled = grouped[torch.randperm(steps, generator=generator).numpy()]
        return np.concatenate([order[:first], shuffled.reshape(-1), order[end:]])
