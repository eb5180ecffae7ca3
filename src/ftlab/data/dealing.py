"""Which training rows make up which batch, from the first step of a run to its last."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

Counts = NDArray[np.int32]

# Of the run's first training row and the one after the last, counted over all processes: row numbers, and for each how
# often it was dealt before. Asked for one stretch after the other; the first may begin anywhere.
Draw = Callable[[int, int], tuple[list[int], list[int]]]

_POOL = 50  # steps whose rows are sorted by length together, as in Hugging Face's LengthGroupedSampler


@dataclass(frozen=True, slots=True)
class Dealt:
    """One micro-batch of one process.

    Attributes:
        rows: row numbers.
        epochs: for each of them, how often it was dealt before.
        share: what the mean loss of the micro-batch is multiplied by. Gradients are averaged over the micro-batches of
            a step and over processes, each counting alike; with the shares, each token of the step counts alike.
    """

    rows: list[int]
    epochs: list[int]
    share: float


class Dealer(Sampler[Dealt]):
    """Deals shuffled rows out in micro-batches that are all full: one epoch follows the other without a seam.

    A step's rows are the same whatever the number of processes and micro-batches that share it, and so is its gradient.
    A run can be started at any place, so that it goes on where it was left.
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
        learned: Counts | None = None,
        lengths: Counts | None = None,
        draw: Draw | None = None,
    ) -> None:
        """Take the place of this process.

        Args:
            rows: how many there are; each epoch is a new order of all of them.
            micro_batch_size: rows per batch and process.
            batches: of the whole run, per process.
            start: batches that are done already.
            seed: decides the order of every epoch.
            rank: which of the processes this is.
            world_size: how many there are.
            accumulate: batches of a process per optimizer step.
            learned: of each row, how many losses are averaged over it (tokens); None: one each.
            lengths: of each row, in tokens: rows of about the same length share a step; None: whichever come.
            draw: says which rows come where, see `Draw`; None: epochs of all rows.
        """
        self._rows = rows
        self._size = micro_batch_size * world_size
        self._numbers = range(start, batches)
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._accumulate = accumulate
        self._learned = np.ones(rows, np.int32) if learned is None else learned
        self._lengths = lengths
        self._draw = draw
        self._epoch, self._order_of_epoch = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Dealt]:
        step, tokens = -1, 0
        rows: list[int] = []  # of the whole step, over all processes
        epochs: list[int] = []
        for number in self._numbers:
            if number // self._accumulate != step:
                step = number // self._accumulate
                rows, epochs = self._step(step)
                tokens = self._tokens(rows)
            first = number % self._accumulate * self._size
            mine = slice(first + self._rank, first + self._size, self._world_size)
            share = self._tokens(rows[mine]) * self._accumulate * self._world_size / tokens if tokens else 1.0
            yield Dealt(rows[mine], epochs[mine], share)

    def steps_within(self, cost: Counts, limit: float) -> int:
        """Return how many optimizer steps, from the first one on, cost no more than this together.

        Args:
            cost: of each row, (rows,); above zero.
            limit: of their sum.
        """
        per_step = self._size * self._accumulate
        steps, spent, left = 0, 0, np.empty(0, np.int64)
        for epoch in count():
            left = np.concatenate([left, cost[self._order(epoch)]])
            whole = len(left) // per_step
            sums = spent + left[: whole * per_step].reshape(whole, per_step).sum(1).cumsum()
            fitting = int(np.searchsorted(sums, limit, side="right"))
            if fitting < whole:
                return steps + fitting
            steps, spent, left = steps + whole, int(sums[-1]) if whole else spent, left[whole * per_step :]
        raise AssertionError("an epoch follows every other")

    def _tokens(self, rows: list[int]) -> int:
        return int(self._learned[rows].sum())

    def _step(self, step: int) -> tuple[list[int], list[int]]:
        per_step = self._size * self._accumulate
        if self._draw is not None:
            return self._draw(step * per_step, (step + 1) * per_step)
        rows, epochs = [], []
        for place in range(step * per_step, (step + 1) * per_step):
            epoch = place // self._rows
            if epoch != self._epoch:
                self._epoch, self._order_of_epoch = epoch, self._order(epoch)
            rows.append(int(self._order_of_epoch[place % self._rows]))
            epochs.append(epoch)
        return rows, epochs

    def _order(self, epoch: int) -> NDArray[np.int64]:
        generator = torch.Generator().manual_seed(self._seed + epoch)
        order: NDArray[np.int64] = torch.randperm(self._rows, generator=generator).numpy()
        if self._lengths is None:
            return order
        per_step = self._size * self._accumulate
        # What fills up the last epoch's last step, and what is left over for the next epoch's first, stays as it comes.
        first = min(-epoch * self._rows % per_step, self._rows)
        steps = (self._rows - first) // per_step
        end = first + steps * per_step
        pools = np.split(order[first:end], range(_POOL * per_step, steps * per_step, _POOL * per_step))
        by_length = [pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools]
        grouped = np.concatenate(by_length).reshape(steps, per_step)
        shuffled = grouped[torch.randperm(steps, generator=generator).numpy()]
        return np.concatenate([order[:first], shuffled.reshape(-1), order[end:]])
