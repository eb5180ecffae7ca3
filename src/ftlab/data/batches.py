"""From row numbers to batches: what the loaders of training and of evaluation read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ftlab.data.collate import Example
from ftlab.data.dealing import Dealer, Dealt, Draw
from ftlab.data.encoded import Tokenized
from ftlab.data.masking import Masking
from ftlab.data.pieces import Batch, Cut

MakeBatch = Callable[[Sequence[tuple[int, Example]]], Batch]  # see `Collate`


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How examples become batches.

    Attributes:
        micro_batch_size: examples per forward pass and device in training.
        eval_batch_size: examples per forward pass in validation and test.
        num_workers: processes that load batches; 0: the training process itself.
        seed: decides the order of the training rows in each epoch, the same for every method.
        rank: which of the training processes this is.
        world_size: how many there are.
        accumulate: micro-batches per optimizer step and process.
        group_by_length: training rows of about the same length share a step.
        packing: the examples of a training micro-batch share rows, see `packing`.
        micro_batch_tokens: most tokens of a forward pass in training, see `pieces`; None: micro-batches stay whole.
    """

    micro_batch_size: int
    eval_batch_size: int
    num_workers: int = 0
    seed: int = 0
    rank: int = 0
    world_size: int = 1
    accumulate: int = 1
    group_by_length: bool = False
    packing: bool = False
    micro_batch_tokens: int | None = None


class Numbered(Dataset[tuple[int, Example]]):
    """Examples that know their row number; masked ones always alike, whatever the run's seed."""

    def __init__(self, examples: Sequence[Example], masking: Masking | None = None) -> None:
        """Wrap the examples of one split, in order."""
        self.examples = examples
        self.masking = masking

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[int, Example]:
        """Return row number and example."""
        example = self.examples[index]
        return index, example if self.masking is None else self.masking(example, index)


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch | list[Batch]]):
    """Micro-batches by what was dealt, ready for the model.

    Attributes:
        examples: the training rows.
        collate: makes one batch of several.
        seed: of the run; decides what is masked in each epoch.
        masking: masks each row anew in each epoch; None: nothing is masked.
        cut: cuts micro-batches into pieces.
    """

    examples: Sequence[Example]
    collate: MakeBatch
    seed: int
    masking: Masking | None
    cut: Cut

    def __getitem__(self, dealt: Dealt) -> Batch | list[Batch]:
        """Return the batch, or its pieces; each has its `share`, see `Dealt`."""
        pieces = [self._batch(piece) for piece in self.cut(dealt)]
        return pieces if len(pieces) > 1 else pieces[0]

    def _batch(self, dealt: Dealt) -> Batch:
        examples = [self.examples[row] for row in dealt.rows]
        if self.masking is not None:
            drawn = zip(examples, dealt.epochs, dealt.rows, strict=True)
            examples = [self.masking(example, self.seed, epoch, row) for example, epoch, row in drawn]
        return {**self.collate(list(zip(dealt.rows, examples, strict=True))), "share": torch.tensor(dealt.share)}


def training_loader(
    train: Tokenized,
    collate: MakeBatch,
    dealt: tuple[int, int],
    loading: Loading,
    cut: Cut,
    masking: Masking | None = None,
    draw: Draw | None = None,
) -> DataLoader[Any]:
    """Return the training batches of this process.

    Args:
        train: the training rows.
        collate: makes one batch of several examples.
        dealt: micro-batches of the whole run, and those done already.
        loading: how batches are made.
        cut: cuts micro-batches into pieces.
        masking: masks each row anew in each epoch.
        draw: see `Dealer`.
    """
    batches, start = dealt
    dealer = Dealer(
        len(train.examples),
        micro_batch_size=loading.micro_batch_size,
        batches=batches,
        start=start,
        seed=loading.seed,
        rank=loading.rank,
        world_size=loading.world_size,
        accumulate=loading.accumulate,
        learned=train.learned,
        lengths=train.lengths if loading.group_by_length else None,
        draw=draw,
    )
    source = TrainingBatches(train.examples, collate, loading.seed, masking, cut)
    return _loader(source, loading, batch_size=None, sampler=dealer)


def evaluation_loader(
    split: Tokenized, collate: MakeBatch, loading: Loading, masking: Masking | None
) -> DataLoader[Any]:
    """Return all rows of a split in order, always masked alike."""
    source = Numbered(split.examples, masking)
    return _loader(source, loading, batch_size=loading.eval_batch_size, collate_fn=collate)


def _loader(source: Dataset[Any], loading: Loading, **settings: Any) -> DataLoader[Any]:
    return DataLoader(
        source,
        **settings,
        num_workers=loading.num_workers,
        persistent_workers=loading.num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        # Without a generator of its own a loader draws from the global one, which dropout draws from.
        generator=torch.Generator().manual_seed(loading.seed),
    )
