"""Sampling order of a mixture: the part and the row at each position of a run."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

_ROUNDING = 1e-9  # tolerance for products of a sampling probability in float64


class MixtureOrder:
    """Deterministic order of the training rows of a mixture: the part and the row at each position of a run.

    It is a `RowOrder`. After any number of rows, the count of each part differs by less than one from its sampling
    probability times that number: R. Tijdeman, 1980, "The chairman assignment problem", Discrete Mathematics 32. Each
    part runs through whole epochs of its own, in the order that it would have alone. The order depends only on
    probabilities, sizes and seed, so all methods see the same rows.
    """

    def __init__(self, probabilities: Sequence[float], sizes: Sequence[int], seed: int) -> None:
        """Start at the first position.

        Args:
            probabilities: sampling probability of each part; they sum to 1.
            sizes: number of training rows of each part; row numbers count through all parts, one after the other.
            seed: decides the order of every epoch.
        """
        self._probabilities, self._sizes, self._seed = probabilities, sizes, seed
        self._starts = [0, *accumulate(sizes)]
        self._position = 0
        self._sampled = [0] * len(sizes)  # rows of each part so far
        self._permutations: dict[int, tuple[int, NDArray[np.int64]]] = {}  # part -> epoch and its order

    def __call__(self, first: int, last: int) -> tuple[list[int], list[int]]:
        """Return rows and epochs at these positions."""
        if first != self._position:
            self._position, self._sampled = 0, [0] * len(self._sizes)
            while self._position < first:
                self._next_part()
        sampled = [self._row(*self._next_part()) for _ in range(first, last)]
        return [row for row, _ in sampled], [epoch for _, epoch in sampled]

    def _next_part(self) -> tuple[int, int]:
        """Advance by one row; return its part, and how many rows of the part came before."""
        self._position += 1
        slack = 1 / (2 * len(self._sizes) - 2)
        candidates = [
            ((1 - slack + sampled) / probability, part)
            for part, (probability, sampled) in enumerate(zip(self._probabilities, self._sampled, strict=True))
            if probability * self._position - sampled >= slack - _ROUNDING
        ]
        _, part = min(candidates)  # the eligible part with the earliest deadline
        self._sampled[part] += 1
        return part, self._sampled[part] - 1

    def _row(self, part: int, rows_before: int) -> tuple[int, int]:
        """Return the row number and the epoch of the next row of a part."""
        epoch, position = divmod(rows_before, self._sizes[part])
        if self._permutations.get(part, (-1,))[0] != epoch:
            generator = torch.Generator().manual_seed(self._seed + epoch)
            self._permutations[part] = epoch, torch.randperm(self._sizes[part], generator=generator).numpy()
        return self._starts[part] + int(self._permutations[part][1][position]), epoch
