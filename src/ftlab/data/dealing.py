"""Which training rows make up which batch, from the first step of a run to its last."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class Dealer(Sampler[list[int]]):
    """Deals shuffled rows out in micro-batches that are all full: one epoch follows the other without a seam.

    A step's rows are the same whatever the number of processes and micro-batches that share it: gradients are averaged
    over equal parts. A run can be started at any place, so that it goes on where it was left.
    """

    def __init__(
        self, rows: int, *, micro_batch_size: int, batches: int, start: int, seed: int, rank: int, world_size: int
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
        """
        self._rows = rows
        self._size = micro_batch_size * world_size
        self._numbers = range(start, batches)
        self._seed = seed
        self._rank = rank
        self._world_size = world_size

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, order = -1, []
        for number in self._numbers:
            batch = []
            for place in range(number * self._size + self._rank, (number + 1) * self._size, self._world_size):
                if place // self._rows != epoch:
                    epoch = place // self._rows
                    order = self._order(epoch)
                batch.append(order[place % self._rows])
            yield batch

    def _order(self, epoch: int) -> list[int]:
        order: list[int] = torch.randperm(
            self._rows, generator=torch.Generator().manual_seed(self._seed + epoch)
        ).tolist()
        return order
