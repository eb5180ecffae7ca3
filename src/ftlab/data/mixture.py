"""Mixture of several data sets: batches with the part of each row."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import BudgetConfig, DatasetConfig
from ftlab.config.mixing import MixingConfig
from ftlab.config.task import Task, mixture_task
from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.dataset import build_dataset
from ftlab.data.encoding.encoded_split import SplitSummary, TokenizedSplit
from ftlab.data.encoding.example import Example
from ftlab.data.loading.batches import Loading, evaluation_loader, training_loader
from ftlab.data.loading.collate import Collate
from ftlab.data.loading.micro_batch import MicroBatchSplitter
from ftlab.data.loading.mixture_order import MixtureOrder
from ftlab.data.rows.lazy_sequence import LazySequence
from ftlab.data.rows.row import SPLITS, Origin
from ftlab.kinds.mixture import KIND

_PROBE_ROWS = 2  # of each part


@dataclass(frozen=True)
class ConcatenatedExamples(LazySequence[Example]):
    """The examples of all parts, one part after the other.

    Attributes:
        parts: examples of each part.
        label_width: number of floats for the label of any part, a class id or a vector; None if labels are tokens.
    """

    parts: tuple[Sequence[Example], ...]
    label_width: int | None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def _element(self, index: int) -> Example:
        for part in self.parts:
            if index < len(part):
                return self._unify(part[index])
            index -= len(part)
        raise IndexError(index)

    def _unify(self, example: Example) -> Example:
        """Return the example with the same fields and label shape as those of the other parts."""
        if self.label_width is None:  # only plain text counts bytes
            return replace(example, text_bytes=example.text_bytes or 0) if example.tags is None else example
        labels = np.atleast_1d(np.asarray(example.labels, np.float32))
        padded = np.zeros(self.label_width, np.float32)
        padded[: len(labels)] = labels
        return replace(example, labels=padded)


@dataclass(frozen=True)
class CollateWithPart:
    """Collator that adds `part`, the index of the part of each row, of shape (examples,)."""

    collate: Collate
    starts: tuple[int, ...]  # row number of the first row of each part

    def __call__(self, numbered: Sequence[tuple[int, Example]]) -> dict[str, torch.Tensor]:
        """See `Collate`."""
        parts = [bisect_right(self.starts, number) - 1 for number, _ in numbered]
        return {**self.collate(numbered), "part": torch.tensor(parts)}


class MixtureData(LightningDataModule):
    """Counterpart of `DataModule` for several data sets, each with its own rows, splits and labels.

    Attributes:
        parts: name -> data module.
        sampling_probabilities: name -> sampling probability in training; set by `tokenize`.
        task: mixture of the tasks of all parts.
        hash: 64 hex digits over the hashes of the parts.
        rows: split -> number of examples, over all parts.
        origin: notes on how the parts were read.
        dropped: reason -> number of dropped rows, over all parts.
        demonstrations: always empty; see `DataModule` for this and the other attributes.
        unknown_token_share: None; each part has its own.
        truncated_share: None; each part has its own.
        warnings: warnings of the parts, each with the name of its part.
        source_of_tokens: sources of the parts, each with the name of its part.
    """

    def __init__(self, parts: Mapping[str, DataModule], mixing: MixingConfig, loading: Loading) -> None:
        """Take the parts.

        Raises:
            UserError: the parts cannot share a model.
        """
        super().__init__()
        self.parts = dict(parts)
        self.mixing = mixing
        self.loading = loading
        self.sampling_probabilities: dict[str, float] = {}
        self.task: Task = mixture_task(KIND, {name: part.task for name, part in parts.items()})
        self.hash = hashlib.sha256(json.dumps({name: part.hash for name, part in parts.items()}).encode()).hexdigest()
        self.origin = Origin(
            notes=tuple(f"{name}: {note}" for name, part in parts.items() for note in part.origin.notes)
        )
        self.demonstrations: list[dict[str, str]] = []
        self.unknown_token_share: float | None = None
        self.truncated_share: float | None = None
        self.source_of_tokens: str | None = None
        self._tokenized: dict[str, TokenizedSplit] = {}
        self._starts: dict[str, tuple[int, ...]] = {}
        self._collate: Collate | None = None
        self._batch_range: tuple[int, int] | None = None

    @property
    def rows(self) -> dict[str, int]:
        """See the class."""
        return {split: sum(part.rows[split] for part in self.parts.values()) for split in SPLITS}

    @property
    def all_rows(self) -> dict[str, int]:
        """See `DataModule`."""
        return {split: sum(part.all_rows[split] for part in self.parts.values()) for split in SPLITS}

    @property
    def rows_within_limits(self) -> dict[str, int]:
        """See `DataModule`."""
        return {split: sum(part.rows_within_limits[split] for part in self.parts.values()) for split in SPLITS}

    @property
    def dropped(self) -> dict[str, int]:
        """See the class."""
        return {
            f"{name}: {reason}": count for name, part in self.parts.items() for reason, count in part.dropped.items()
        }

    @property
    def warnings(self) -> list[str]:
        """See the class."""
        return [f"{name}: {warning}" for name, part in self.parts.items() for warning in part.warnings]

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, *, task: Task, **settings: Any) -> None:
        """Encode every part; see `DataModule.tokenize`.

        Raises:
            DataError: the error of a part; the message begins with its name.
        """
        task_for_model = dict(task.parts)
        for name, part in self.parts.items():
            try:
                part.tokenize(tokenizer, task=task_for_model[name], **settings)
            except DataError as error:
                raise DataError(f"dataset.parts.{name}: {error}") from error
        self._collate = next(iter(self.parts.values())).collate  # the same for all parts
        train_rows = {name: part.rows["train"] for name, part in self.parts.items()}
        self.sampling_probabilities = self.mixing.sampling_probabilities(train_rows)
        sources = {name: part.source_of_tokens for name, part in self.parts.items() if part.source_of_tokens}
        self.source_of_tokens = ", ".join(f"{name}: {source}" for name, source in sources.items()) or None
        for split in SPLITS:
            tokenized = [part.tokenized_split(split) for part in self.parts.values()]
            self._tokenized[split] = _concatenate(tokenized, _label_width(task))
            self._starts[split] = (0, *accumulate(len(part.examples) for part in tokenized))[:-1]

    def free_rows(self) -> None:
        """See `DataModule`."""
        for part in self.parts.values():
            part.free_rows()

    def example_ids(self, split: str) -> list[str]:
        """Return the id of each example of a split; ids are unique in a part, but parts with equal rows share ids."""
        return self._tokenized[split].ids()

    def set_batch_range(self, *, batches: int, start: int = 0) -> None:
        """See `DataModule`."""
        self._batch_range = (batches, start)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of this process, with rows sampled from all parts."""
        assert self._batch_range is not None, "call set_batch_range first"
        sizes = [part.rows["train"] for part in self.parts.values()]
        row_order = MixtureOrder(list(self.sampling_probabilities.values()), sizes, self.loading.seed)
        task_for_model = next(iter(self.parts.values())).task_for_model  # the same model for all parts
        train, collate = self._tokenized["train"], self._collate_with_part("train")
        splitter = MicroBatchSplitter.of(train, task_for_model, self.loading.micro_batch_tokens)
        return training_loader(train, collate, self._batch_range, self.loading, splitter, row_order=row_order)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return all validation rows of every part."""
        return evaluation_loader(self._tokenized["val"], self._collate_with_part("val"), self.loading, None)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return all test rows of every part."""
        return evaluation_loader(self._tokenized["test"], self._collate_with_part("test"), self.loading, None)

    def probe_batch(self) -> dict[str, torch.Tensor]:
        """Return the first validation rows of every part."""
        examples, starts = self._tokenized["val"].examples, self._starts["val"]
        ends = (*starts[1:], len(examples))
        first_rows = [range(start, min(start + _PROBE_ROWS, end)) for start, end in zip(starts, ends, strict=True)]
        return self._collate_with_part("val")([(row, examples[row]) for rows in first_rows for row in rows])

    def _collate_with_part(self, split: str) -> CollateWithPart:
        assert self._collate is not None, "call tokenize first"
        return CollateWithPart(self._collate, self._starts[split])


def build_mixture(config: DatasetConfig, *, budget: BudgetConfig, loading: Loading, max_length: int) -> MixtureData:
    """Read the parts of a mixture; for the arguments see `build_dataset`. The budget limits the rows of each part.

    Raises:
        DataError: the data of a part is unusable; the message begins with its name.
        UserError: the parts cannot share a model.
    """
    parts = {}
    for name, part in config.parts.items():
        no_generation = part.generate.model_copy(update={"rows": 0})
        try:
            part_config = part.model_copy(update={"generate": no_generation})
            length = min(part.max_length, max_length)
            parts[name] = build_dataset(part_config, budget=budget, loading=loading, max_length=length)
        except DataError as error:
            raise DataError(f"dataset.parts.{name}: {error}") from error
    return MixtureData(parts, config.mixing or MixingConfig(), loading)


def _label_width(task: Task) -> int | None:
    """See `ConcatenatedExamples`."""
    if not task.head.labels_whole_text:
        return None
    single = "single_label_classification"
    return max(1 if part.problem == single else len(part.labels) for _, part in task.parts)


def _concatenate(parts: Sequence[TokenizedSplit], label_width: int | None) -> TokenizedSplit:
    return TokenizedSplit(
        ConcatenatedExamples(tuple(part.examples for part in parts), label_width),
        lambda: [example_id for part in parts for example_id in part.ids()],
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.num_loss_tokens for part in parts]),
        SplitSummary(None, {}, (0, 0)),  # each part has its own
    )
