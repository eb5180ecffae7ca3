"""Several data sets as one: which rows come when, and batches in which each row knows the part that it is of."""

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
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from ftlab import data
from ftlab.data.base import DataModule
from ftlab.data.batches import Loading, evaluation_loader, training_loader
from ftlab.data.collate import Collate, Example
from ftlab.data.encoded import Summary, Tokenized
from ftlab.data.made import MadeOnDemand
from ftlab.data.pieces import Cut
from ftlab.data.rows import SPLITS, Origin
from ftlab.errors import DataError
from ftlab.groups import DatasetConfig
from ftlab.mixing import MixingConfig
from ftlab.tasks.spec import Task, mixture

_PROBE_ROWS = 2  # of each part
_ROUNDING = 1e-9  # of a place's share, in float64


class Turns:
    """Says whose turn it is at every place of a run, and which of its rows comes: see `dealing.Draw`.

    After any number of rows, each part has had its share of them but for less than one row: R. Tijdeman, 1980, "The
    chairman assignment problem", Discrete Mathematics 32. Of each part every row comes once before one comes twice, in
    the order that the part would have alone. Nothing but shares, sizes and seed decides: all methods see the same rows.
    """

    def __init__(self, shares: Sequence[float], sizes: Sequence[int], seed: int) -> None:
        """Begin a run.

        Args:
            shares: of each part, adding up to 1.
            sizes: training rows of each; a row's number is counted over the parts, one after the other.
            seed: decides the order of every epoch.
        """
        self._shares, self._sizes, self._seed = shares, sizes, seed
        self._starts = [0, *accumulate(sizes)]
        self._place = 0
        self._had = [0] * len(sizes)
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # part -> epoch and its order

    def __call__(self, first: int, last: int) -> tuple[list[int], list[int]]:
        """Return rows and epochs of these places."""
        if first != self._place:
            self._place, self._had = 0, [0] * len(self._sizes)
            while self._place < first:
                self._next()
        drawn = [self._row(*self._next()) for _ in range(first, last)]
        return [row for row, _ in drawn], [epoch for _, epoch in drawn]

    def _next(self) -> tuple[int, int]:
        """Return the part whose turn it is, and how many rows it has had."""
        self._place += 1
        slack = 1 / (2 * len(self._sizes) - 2)
        due = [
            ((1 - slack + had) / share, part)
            for part, (share, had) in enumerate(zip(self._shares, self._had, strict=True))
            if share * self._place - had >= slack - _ROUNDING
        ]
        _, part = min(due)  # of those that may come, the one that must come soonest
        self._had[part] += 1
        return part, self._had[part] - 1

    def _row(self, part: int, turn: int) -> tuple[int, int]:
        epoch, place = divmod(turn, self._sizes[part])
        if self._orders.get(part, (-1,))[0] != epoch:
            generator = torch.Generator().manual_seed(self._seed + epoch)
            self._orders[part] = epoch, torch.randperm(self._sizes[part], generator=generator).numpy()
        return self._starts[part] + int(self._orders[part][1][place]), epoch


@dataclass(frozen=True)
class Joined(MadeOnDemand[Example]):
    """The examples of all parts, one part after the other.

    Attributes:
        parts: of each part.
        width: numbers that stand for any answer of any part, a class id or several; None: answers are tokens.
    """

    parts: tuple[Sequence[Example], ...]
    width: int | None

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def _made(self, index: int) -> Example:
        for part in self.parts:
            if index < len(part):
                return self._alike(part[index])
            index -= len(part)
        raise IndexError(index)

    def _alike(self, example: Example) -> Example:
        if self.width is None:  # bytes are counted of running text alone
            return replace(example, text_bytes=example.text_bytes or 0) if example.tags is None else example
        answer = np.zeros(self.width, np.float32)
        given = np.atleast_1d(np.asarray(example.labels, np.float32))
        answer[: len(given)] = given
        return replace(example, labels=answer)


@dataclass(frozen=True)
class PartedBatch:
    """Makes batches that say of each row which part it is of, `part` of shape (examples,)."""

    collate: Collate
    starts: tuple[int, ...]  # number of the first row of each part

    def __call__(self, numbered: Sequence[tuple[int, Example]]) -> dict[str, torch.Tensor]:
        """See `Collate`."""
        parts = [bisect_right(self.starts, number) - 1 for number, _ in numbered]
        return {**self.collate(numbered), "part": torch.tensor(parts)}


class MixtureData(LightningDataModule):
    """What `DataModule` is of one data set, of several; each keeps its own rows, splits and answers.

    Attributes:
        parts: name -> its data.
        shares: name -> share of the training rows; known when `tokenize` returns.
        task: that of all parts together.
        hash: 64 hex digits over the hashes of the parts.
        rows: split -> examples in use, over all parts.
        origin: what is to be said of how the parts were read.
        dropped: reason -> rows left out, over all parts.
        demonstrations: none; see `DataModule`, as for the others.
        unknown_token_share: null: each part has its own.
        truncated_share: the same.
        warnings: of the parts, each with its name.
        source_of_tokens: of the parts.
    """

    def __init__(self, parts: Mapping[str, DataModule], mixing: MixingConfig, loading: Loading) -> None:
        """Take the parts.

        Raises:
            UserError: they cannot share a model.
        """
        super().__init__()
        self.parts = dict(parts)
        self.mixing = mixing
        self.loading = loading
        self.shares: dict[str, float] = {}
        self.task: Task = mixture({name: part.task for name, part in parts.items()})
        self.hash = hashlib.sha256(json.dumps({name: part.hash for name, part in parts.items()}).encode()).hexdigest()
        self.origin = Origin(
            notes=tuple(f"{name}: {note}" for name, part in parts.items() for note in part.origin.notes)
        )
        self.demonstrations: list[dict[str, str]] = []
        self.unknown_token_share: float | None = None
        self.truncated_share: float | None = None
        self.source_of_tokens: str | None = None
        self._joined: dict[str, Tokenized] = {}
        self._starts: dict[str, tuple[int, ...]] = {}
        self._collate: Collate | None = None
        self._dealt: tuple[int, int] | None = None

    @property
    def rows(self) -> dict[str, int]:
        """See the class."""
        return {split: sum(part.rows[split] for part in self.parts.values()) for split in SPLITS}

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

    def tokenize(
        self, tokenizer: PreTrainedTokenizerBase, *, model: str, task: Task, decoder_start: int | None = None
    ) -> None:
        """Encode every part; see `DataModule.tokenize`.

        Raises:
            DataError: as of a part, whose name stands ahead.
        """
        posed = dict(task.parts)
        for name, part in self.parts.items():
            try:
                part.tokenize(tokenizer, model=model, task=posed[name], decoder_start=decoder_start)
            except DataError as error:
                raise DataError(f"dataset.parts.{name}: {error}") from error
        self._collate = next(iter(self.parts.values())).collate  # all are posed to one model
        self.shares = self.mixing.shares({name: part.rows["train"] for name, part in self.parts.items()})
        sources = {name: part.source_of_tokens for name, part in self.parts.items() if part.source_of_tokens}
        self.source_of_tokens = ", ".join(f"{name}: {source}" for name, source in sources.items()) or None
        for split in SPLITS:
            found = [part._of(split) for part in self.parts.values()]
            self._joined[split] = _joined(found, _width(task))
            self._starts[split] = (0, *accumulate(len(one.examples) for one in found))[:-1]

    def forget_rows(self) -> None:
        """See `DataModule`."""
        for part in self.parts.values():
            part.forget_rows()

    def example_ids(self, split: str) -> list[str]:
        """Return the id of each example of a split; those of one part are apart, equal ones of two parts are equal."""
        return self._joined[split].ids()

    def deal(self, *, batches: int, start: int = 0) -> None:
        """See `DataModule`."""
        self._dealt = (batches, start)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of this process, with rows of all parts by their shares."""
        assert self._dealt is not None, "call deal first"
        turns = Turns(
            list(self.shares.values()), [part.rows["train"] for part in self.parts.values()], self.loading.seed
        )
        posed = next(iter(self.parts.values())).posed  # all are posed to one model
        cut = Cut.of(self._joined["train"], posed, self.loading.micro_batch_tokens)
        return training_loader(self._joined["train"], self._batch("train"), self._dealt, self.loading, cut, draw=turns)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return all validation rows of every part."""
        return evaluation_loader(self._joined["val"], self._batch("val"), self.loading, None)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return all test rows of every part."""
        return evaluation_loader(self._joined["test"], self._batch("test"), self.loading, None)

    def probe_batch(self) -> dict[str, torch.Tensor]:
        """Return the first validation rows of every part."""
        examples, starts = self._joined["val"].examples, self._starts["val"]
        ends = (*starts[1:], len(examples))
        chosen = [
            n for start, end in zip(starts, ends, strict=True) for n in range(start, min(start + _PROBE_ROWS, end))
        ]
        return self._batch("val")([(number, examples[number]) for number in chosen])

    def _batch(self, split: str) -> PartedBatch:
        assert self._collate is not None, "call tokenize first"
        return PartedBatch(self._collate, self._starts[split])


def build(config: DatasetConfig, *, max_length: int, **settings: Any) -> MixtureData:
    """Read the parts of a mixture; see `data.build`, whose arguments these are. A budget's rows are those of each part.

    Raises:
        DataError: the data of a part cannot be used; its name stands ahead.
        UserError: the parts cannot share a model.
    """
    parts = {}
    for name, part in config.parts.items():
        unasked = part.generate.model_copy(update={"rows": 0})  # nothing is written after training
        try:
            parts[name] = data.build(
                part.model_copy(update={"generate": unasked}), max_length=min(part.max_length, max_length), **settings
            )
        except DataError as error:
            raise DataError(f"dataset.parts.{name}: {error}") from error
    return MixtureData(parts, config.mixing or MixingConfig(), next(iter(parts.values())).loading)


def _width(task: Task) -> int | None:
    if task.auto_class != "AutoModelForSequenceClassification":
        return None
    single = "single_label_classification"
    return max(1 if part.problem == single else len(part.labels) for _, part in task.parts)


def _joined(parts: Sequence[Tokenized], width: int | None) -> Tokenized:
    return Tokenized(
        Joined(tuple(part.examples for part in parts), width),
        lambda: [one for part in parts for one in part.ids()],
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.learned for part in parts]),
        Summary(None, {}, (0, 0)),  # each part has its own
    )
