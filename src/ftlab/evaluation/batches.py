"""Evenly spaced samples of examples, and batches of them for evaluation."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ftlab.data.encoding.example import Example
from ftlab.data.encoding.masking import Masking
from ftlab.data.loading.batches import IndexedExamples
from ftlab.data.loading.collate import Collate
from ftlab.record import Metric
from ftlab.tasks.base import Scores, TaskModule

T = TypeVar("T")


@dataclass(frozen=True)
class Batches:
    """Batches of examples; can be iterated repeatedly.

    Attributes:
        examples: tokenized.
        collate: makes one batch of several examples.
        batch_size: examples per batch.
        masking: for masked language models; masks the same positions in each iteration.
    """

    examples: Sequence[Example]
    collate: Collate
    batch_size: int
    masking: Masking | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the batches in order."""
        numbered = IndexedExamples(self.examples, self.masking)
        for start in range(0, len(numbered), self.batch_size):
            end = min(start + self.batch_size, len(numbered))
            yield self.collate([numbered[index] for index in range(start, end)])


def evenly_spaced(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` items, evenly spaced from the first on.

    Rows are often sorted, so the first ones are no fair sample; the choice does not depend on the seed.
    """
    count = min(limit, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def evaluate_batches(
    module: TaskModule[Any],
    batches: Batches,
    scores: Scores | None = None,
    *,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Metric]:
    """Return the metrics of these batches; `advance` is called after each.

    The module must be in evaluation mode, with gradients off.
    """
    scores = (module.new_scores() if scores is None else scores).to(module.device)
    for batch in batches:
        module.evaluate({key: value.to(module.device) for key, value in batch.items()}, scores)
        advance()
    return scores.compute()
