"""What every kind of data shares: the splits, how batches are dealt out, and what is measured of the rows."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from ftlab.data.collate import Collate, Example, Numbered
from ftlab.data.dealing import Dealer
from ftlab.data.demonstrations import drawn, require_room
from ftlab.data.kind import Kind
from ftlab.data.rows import Origin, Row, Splits, canonical, data_hash, example_ids
from ftlab.data.splits import Unit, limit, overlap
from ftlab.data.tokens import pad_id, unknown_share
from ftlab.errors import DataError
from ftlab.tasks.spec import Task

_MOST_UNKNOWN = 0.05  # share of unknown tokens above which a run is warned of
_PROBE_ROWS = 4


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
    """

    micro_batch_size: int
    eval_batch_size: int
    num_workers: int = 0
    seed: int = 0
    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class Encoded:
    """The examples of a split, and how many rows were cut or left out to fit max_length.

    Attributes:
        examples: what the model sees.
        contents: what each example is, for its id.
        truncated: rows that lost tokens, whether or not they were left out; null where the tokenizer does not tell.
        dropped: reason -> rows left out.
    """

    examples: list[Example]
    contents: list[str]
    truncated: int | None
    dropped: Mapping[str, int]


class DataModule(Kind, LightningDataModule):
    """Rows in splits; after `tokenize`, batches. One subclass per kind of data.

    Attributes:
        task: the task, with its labels.
        posed: the same as the method poses it; known when `tokenize` returns.
        demonstrations: training rows, as role -> text and `id`, that stand solved ahead of each question; known then.
        hash: 64 hex digits over the rows of all splits; no tokenizer has a part in it.
        rows: split -> examples in use. Until `tokenize`, rows that were read.
        origin: how the rows were read.
        dropped: reason -> rows left out, over all splits.
        unknown_token_share: share of the training tokens that the tokenizer does not know.
        truncated_share: share of the training rows that are cut to max_length; null: not known.
        warnings: sentences that a reader of the results should see.
    """

    def __init__(
        self,
        splits: Splits,
        *,
        max_length: int,
        loading: Loading,
        limits: Mapping[str, int | None] | None = None,
        split_seed: int = 0,
        origin: Origin | None = None,
    ) -> None:
        """Take split rows whose values are role -> text.

        Args:
            splits: rows of train, val and test.
            max_length: tokens per example, special tokens included.
            loading: how batches are made.
            limits: split -> most rows to use.
            split_seed: decides which rows a limit keeps.
            origin: how the rows were read.
        """
        super().__init__()
        limits = limits or {}
        self.splits = {
            split: limit(rows, self.units(rows), limits.get(split), split_seed) for split, rows in splits.items()
        }
        self.max_length = max_length
        self.loading = loading
        self.hash = data_hash(self.splits)
        self.rows = {split: len(rows) for split, rows in self.splits.items()}
        self.origin = origin or Origin()
        self.dropped = dict(self.origin.dropped)
        self.warnings = [*self.origin.warnings, *self._seen_in_training()]
        self.posed = self.task
        self.demonstrations: list[dict[str, str]] = []
        self.unknown_token_share: float | None = None
        self.truncated_share: float | None = None
        self._encoded: dict[str, Encoded] = {}
        self._collate: Collate | None = None
        self._dealt: tuple[int, int] | None = None  # batches of the run, and those done already

    @property
    @abstractmethod
    def task(self) -> Task:
        """The task that this data is for."""

    @abstractmethod
    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Encoded:
        """Turn the rows of one split into examples, with the demonstrations ahead of each."""

    @abstractmethod
    def demonstrate(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Return the first of these training rows that can be shown solved, as many as the posed task wants."""

    @classmethod
    def units(cls, rows: Sequence[Row]) -> list[Unit]:
        """Return what splitting sees: rows that give the model the same text stay together."""
        return cls.by_text(rows)

    @classmethod
    def by_text(cls, rows: Sequence[Row]) -> list[Unit]:
        """Return one unit per row, known by the text that it gives the model."""
        return [Unit(canonical({role: row.values.get(role) for role in cls.roles.given})) for row in rows]

    def tokenize(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model: str = "this model",
        task: Task | None = None,
        decoder_start: int | None = None,
    ) -> None:
        """Encode every split for this tokenizer and measure what it makes of the text.

        Args:
            tokenizer: its padding side decides the side on which batches are padded.
            model: name of the model, for warnings.
            task: as the method poses it; None: as the data has it.
            decoder_start: token that the decoder of an encoder-decoder begins with.

        Raises:
            DataError: max_length, with the demonstrations, is more than the model reads, no row of a split survives
                it, or training has too few that can be shown.
        """
        self._collate = self.pose(tokenizer, model=model, task=task, decoder_start=decoder_start)
        self._encoded = {split: self.encode(tokenizer, rows) for split, rows in self.splits.items()}
        dropped = Counter(self.origin.dropped)
        for encoded in self._encoded.values():
            dropped.update(encoded.dropped)
        self.dropped = {reason: count for reason, count in dropped.items() if count}
        self.rows = {split: len(encoded.examples) for split, encoded in self._encoded.items()}
        for split, count in self.rows.items():
            if not count:
                raise DataError(
                    f"no {split} row is left within {self.max_length} tokens ({self._reasons(split)}): "
                    f"raise dataset.max_length and budget.max_length."
                )
        truncated = self._encoded["train"].truncated
        self.truncated_share = None if truncated is None else truncated / len(self.splits["train"])
        shares = {
            split: unknown_share(tokenizer, (example.input_ids for example in encoded.examples))
            for split, encoded in self._encoded.items()
        }
        self.unknown_token_share = shares["train"]
        worst = max(shares, key=lambda split: shares[split])
        if shares[worst] > _MOST_UNKNOWN:
            self.warnings.append(
                f"{shares[worst]:.0%} of the tokens of the {worst} rows are unknown to the tokenizer of {model}: "
                "a vocabulary for another language?"
            )

    def pose(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model: str = "this model",
        task: Task | None = None,
        decoder_start: int | None = None,
        demonstrations: Sequence[Mapping[str, str]] | None = None,
    ) -> Collate:
        """Settle how rows become examples, for `encode`; return what makes batches of them. See `tokenize`.

        Without `demonstrations`, those of an earlier run, as many as the task wants are drawn by the run's seed.
        """
        self.posed = task or self.task
        require_room(self.posed, self.max_length, model=model, most=tokenizer.model_max_length)
        self.demonstrations = [dict(row) for row in demonstrations or self._drawn(tokenizer)]
        generates = self.posed.auto_class == "AutoModelForSeq2SeqLM"
        side: Literal["left", "right"] = "left" if tokenizer.padding_side == "left" else "right"
        return Collate(pad_id(tokenizer), side, decoder_start if generates else None)

    def _drawn(self, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, str]]:
        """Draw the demonstrations from the training rows by the run's seed."""
        shots, rows = self.posed.shots, self.splits["train"]
        shown = self.demonstrate(tokenizer, drawn(rows, self.units(rows), self.loading.seed)) if shots else []
        if len(shown) < shots:
            raise DataError(
                f"{len(shown)} of {len(rows)} training rows can be shown as demonstrations of at most "
                f"{self.posed.shot_tokens} tokens, and method.shots={shots} are wanted: raise method.shot_tokens, or "
                "lower method.shots."
            )
        return [{"id": example_ids([canonical(row.values)])[0], **row.values} for row in shown]

    def example_ids(self, split: str) -> list[str]:
        """Return the id of each example of a split; a batch's `index` points into this list."""
        return example_ids(self._of(split).contents)

    def deal(self, *, batches: int, start: int = 0) -> None:
        """Settle how many micro-batches training takes, per process, and how many of them are done already."""
        self._dealt = (batches, start)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of this process: those that `deal` settled, of all epochs."""
        assert self._dealt is not None, "call deal first"
        batches, start = self._dealt
        loading = self.loading
        dealer = Dealer(
            self.rows["train"],
            micro_batch_size=loading.micro_batch_size,
            batches=batches,
            start=start,
            seed=loading.seed,
            rank=loading.rank,
            world_size=loading.world_size,
        )
        return self._loader("train", batch_sampler=dealer)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return all validation batches. Every process evaluates every row: sharding would count padding rows twice."""
        return self._loader("val", batch_size=self.loading.eval_batch_size)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return all test batches, in every process."""
        return self._loader("test", batch_size=self.loading.eval_batch_size)

    def probe_batch(self) -> dict[str, torch.Tensor]:
        """Return one small validation batch, always the same, on which two models can be compared."""
        assert self._collate is not None
        return self._collate(list(enumerate(self._of("val").examples[:_PROBE_ROWS])))

    def _loader(self, split: str, **batching: Any) -> DataLoader[Any]:
        return DataLoader(
            Numbered(self._of(split).examples),
            **batching,
            collate_fn=self._collate,
            num_workers=self.loading.num_workers,
            persistent_workers=self.loading.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Without a generator of its own a loader draws from the global one, which dropout draws from.
            generator=torch.Generator().manual_seed(self.loading.seed),
        )

    def _seen_in_training(self) -> list[str]:
        train = self.by_text(self.splits["train"])
        shared = {split: overlap(self.by_text(self.splits[split]), train) for split in ("val", "test")}
        return [
            f"{count} of the {self.rows[split]} {split} rows are in training too, word for word."
            for split, count in shared.items()
            if count
        ]

    def _of(self, split: str) -> Encoded:
        if split not in self._encoded:
            raise KeyError(f"no split {split!r} yet: call tokenize first")
        return self._encoded[split]

    def _reasons(self, split: str) -> str:
        dropped = self._encoded[split].dropped
        return ", ".join(f"{reason}: {count}" for reason, count in dropped.items() if count) or "too little text"
