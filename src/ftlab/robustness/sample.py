"""Which rows are examined, and the batches that are made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ftlab.data.batches import Numbered
from ftlab.data.collate import Collate, Example
from ftlab.data.masking import Masking
from ftlab.record import Metric
from ftlab.tasks.base import Scores, TaskModule

T = TypeVar("T")


@dataclass(frozen=True)
class Batches:
    """Examples in batches, as often as they are asked for.

    Attributes:
        examples: what the model sees.
        collate: makes one batch of several.
        size: examples per batch.
        masking: for masked language models; the same places whenever it is asked.
    """

    examples: Sequence[Example]
    collate: Collate
    size: int
    masking: Masking | None = None

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yield one batch after the other."""
        numbered = Numbered(self.examples, self.masking)
        for start in range(0, len(numbered), self.size):
            yield self.collate([numbered[number] for number in range(start, min(start + self.size, len(numbered)))])


def spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, evenly spaced from the first on: rows are often sorted, and a seed has no say."""
    count = min(most, len(items))
    return [items[place * len(items) // count] for place in range(count)]


def evaluated(module: TaskModule[Any], batches: Batches, scores: Scores | None = None) -> dict[str, Metric]:
    """Return the metrics of these batches; the module is in evaluation mode, and gradients are off."""
    scores = (module.new_scores() if scores is None else scores).to(module.device)
    for batch in batches:
        module.evaluate({key: value.to(module.device) for key, value in batch.items()}, scores)
    return scores.summarise()
