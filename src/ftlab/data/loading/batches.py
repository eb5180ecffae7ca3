"""DataLoaders of training and evaluation, and the datasets that they read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ftlab.core.batch import Batch
from ftlab.data.encoding.encoded_split import TokenizedSplit
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.masking import Masking
from ftlab.data.loading.micro_batch import MicroBatchSplitter
from ftlab.data.loading.sampler import BatchIndices, BatchSampler, RowOrder

CollateFunction = Callable[[Sequence[tuple[int, Example]]], Batch]  # see `Collate`


@dataclass(frozen=True, kw_only=True)
class Loading:
    """Settings of the data loaders.

    Attributes:
        micro_batch_size: examples per forward pass and device in training.
        eval_batch_size: examples per forward pass in validation and test.
        num_workers: number of DataLoader workers; 0 to load batches in the training process.
        seed: decides the order of the training rows in each epoch, the same for every method.
        rank: index of this training process.
        world_size: number of training processes.
        accumulate: micro-batches per optimizer step and process.
        group_by_length: whether training rows of similar length share a step.
        packing: whether the examples of a training micro-batch share rows; see `packing`.
        micro_batch_tokens: maximum number of tokens of a training forward pass, see `micro_batch`; None for no limit.
        pin_memory: whether batches lie in page-locked memory, from which a GPU copies faster.
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
    pin_memory: bool = False

    @property
    def batch_size(self) -> int:
        """Examples per optimizer step, over all processes."""
        return self.micro_batch_size * self.accumulate * self.world_size


class IndexedExamples(Dataset[tuple[int, Example]]):
    """Examples with their row numbers; masked examples do not depend on the seed of the run."""

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
class MicroBatchDataset(Dataset[Batch | list[Batch]]):
    """Maps sampled indices to training micro-batches.

    Attributes:
        examples: the training examples.
        collate: makes a batch of examples.
        seed: seed of the run; decides which tokens are masked in each epoch.
        masking: masks each example anew in each epoch; None for no masking.
        splitter: splits micro-batches into smaller ones.
    """

    examples: Sequence[Example]
    collate: CollateFunction
    seed: int
    masking: Masking | None
    splitter: MicroBatchSplitter

    def __getitem__(self, indices: BatchIndices) -> Batch | list[Batch]:
        """Return the micro-batch, or the list it is split into; each has its `loss_weight`, see `BatchIndices`."""
        micro_batches = [self._batch(part) for part in self.splitter(indices)]
        return micro_batches if len(micro_batches) > 1 else micro_batches[0]

    def _batch(self, indices: BatchIndices) -> Batch:
        examples = [self.examples[row] for row in indices.rows]
        if self.masking is not None:
            sampled = zip(examples, indices.epochs, indices.rows, strict=True)
            examples = [self.masking(example, self.seed, epoch, row) for example, epoch, row in sampled]
        return {
            **self.collate(list(zip(indices.rows, examples, strict=True))),
            "loss_weight": torch.tensor(indices.loss_weight),
        }


def training_loader(
    train: TokenizedSplit,
    collate: CollateFunction,
    batch_range: tuple[int, int],
    loading: Loading,
    splitter: MicroBatchSplitter,
    masking: Masking | None = None,
    row_order: RowOrder | None = None,
) -> DataLoader[Any]:
    """Return the DataLoader of the training micro-batches of this process.

    Args:
        train: the training split.
        collate: makes a batch of examples.
        batch_range: number of micro-batches of the whole run, and number of those that are done already.
        loading: settings of the loader.
        splitter: splits micro-batches into smaller ones.
        masking: masks each example anew in each epoch.
        row_order: see `BatchSampler`.
    """
    batches, start = batch_range
    sampler = BatchSampler(
        len(train.examples),
        micro_batch_size=loading.micro_batch_size,
        batches=batches,
        start=start,
        seed=loading.seed,
        rank=loading.rank,
        world_size=loading.world_size,
        accumulate=loading.accumulate,
        num_loss_tokens=train.num_loss_tokens,
        lengths=train.lengths if loading.group_by_length else None,
        row_order=row_order,
    )
    dataset = MicroBatchDataset(train.examples, collate, loading.seed, masking, splitter)
    return _loader(dataset, loading, batch_size=None, sampler=sampler)


def evaluation_loader(
    split: TokenizedSplit, collate: CollateFunction, loading: Loading, masking: Masking | None
) -> DataLoader[Any]:
    """Return the DataLoader of all rows of a split in order, with the same masks each time."""
    dataset = IndexedExamples(split.examples, masking)
    return _loader(dataset, loading, batch_size=loading.eval_batch_size, collate_fn=collate)


def _loader(dataset: Dataset[Any], loading: Loading, **settings: Any) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        **settings,
        num_workers=loading.num_workers,
        persistent_workers=loading.num_workers > 0,
        pin_memory=loading.pin_memory,
        # Without its own generator a loader draws from the global one, which dropout uses.
        generator=torch.Generator().manual_seed(loading.seed),
    )
