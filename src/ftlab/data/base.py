"""What every kind of data shares: the splits, how batches are dealt out, and what is measured of the rows."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from ftlab.data import token_cache
from ftlab.data.batches import Loading, Numbered, evaluation_loader, training_loader
from ftlab.data.collate import IGNORED, Collate, Example
from ftlab.data.dealing import Counts
from ftlab.data.demonstrations import demonstrated, drawn, require_room
from ftlab.data.encoded import Encoded, Tally, Tokenized, in_memory
from ftlab.data.kind import Kind
from ftlab.data.masking import Masking
from ftlab.data.memory import give_back
from ftlab.data.pieces import Cut
from ftlab.data.rows import SPLITS, Origin, Row, Splits, canonical, data_hash
from ftlab.data.splits import Unit, limit, overlap
from ftlab.data.stored import portions
from ftlab.data.tokens import pad_id, unknown_counts
from ftlab.errors import DataError
from ftlab.tasks.spec import MASKED_LM, Task

_MOST_UNKNOWN = 0.05  # share of unknown tokens above which a run is warned of
_PROBE_ROWS, _PORTION, _CHARACTERS = 4, 10_000, 2**23  # of a portion rows, and characters; whichever is reached first


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
        source_of_tokens: where the tokenized rows are from, of data that is large enough to be kept; known then.
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
        known_by: Mapping[str, Any] | None = None,
    ) -> None:
        """Take split rows whose values are role -> text.

        Args:
            splits: rows of train, val and test.
            max_length: tokens per example, special tokens included.
            loading: how batches are made.
            limits: split -> most rows to use.
            split_seed: decides which rows a limit keeps.
            origin: how the rows were read.
            known_by: settings that, with rows and tokenizer, decide what the examples are: by these they are kept in
                the cache; None: they are not kept.
        """
        super().__init__()
        most = limits or {}
        self.splits = {
            split: limit(rows, self.units(rows), most.get(split), split_seed) for split, rows in splits.items()
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
        self.source_of_tokens: str | None = None
        self._known_by = known_by
        self._tokenized: dict[str, Tokenized] = {}
        self.masking: Masking | None = None
        self.collate: Collate  # there once rows are tokenized
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
    def units(cls, rows: Sequence[Row]) -> Iterator[Unit]:
        """Yield what splitting sees of each row: those that give the model the same text stay together."""
        return cls.by_text(rows)

    @classmethod
    def by_text(cls, rows: Iterable[Row]) -> Iterator[Unit]:
        """Yield one unit per row, known by the text that it gives the model."""
        return (Unit(canonical({role: row.values.get(role) for role in cls.roles.given})) for row in rows)

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
        self.collate = self.pose(tokenizer, model=model, task=task, decoder_start=decoder_start)
        self.masking = Masking.of(tokenizer) if self.posed.name == MASKED_LM.name else None
        self._tokenized = self._kept(tokenizer) or {
            split: in_memory(*self._portions(tokenizer, split)) for split in self.splits
        }
        dropped = Counter(self.origin.dropped)
        for tokenized in self._tokenized.values():
            dropped.update(tokenized.summary.dropped)
        self.dropped = {reason: count for reason, count in dropped.items() if count}
        self.rows = {split: len(tokenized.examples) for split, tokenized in self._tokenized.items()}
        for split, count in self.rows.items():
            if not count:
                reasons = self._tokenized[split].summary.reasons
                raise DataError(
                    f"no {split} row is left within {self.max_length} tokens ({reasons}): "
                    f"raise dataset.max_length and budget.max_length."
                )
        truncated = self._tokenized["train"].summary.truncated
        self.truncated_share = None if truncated is None else truncated / len(self.splits["train"])
        shares = {split: tokenized.summary.unknown_share for split, tokenized in self._tokenized.items()}
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

    def forget_rows(self) -> None:
        """Let the rows go, once batches are made of what was tokenized; `splits` are empty from then on."""
        self.splits = {}
        give_back()

    @staticmethod
    def parted(rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
        """Yield portions of rows, whose examples are in memory together."""
        return portions(rows, _PORTION, _CHARACTERS)

    def portions(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Encode the rows of one split in portions."""
        for portion in self.parted(rows):
            yield self.encode(tokenizer, portion)

    def learned(self, example: Example) -> int:
        """Return how many losses the mean over this example is taken of; a decoder predicts no first token."""
        if not isinstance(example.labels, np.ndarray) or example.labels.dtype == np.float32:
            return 1
        first = 1 if self.posed.auto_class == "AutoModelForCausalLM" else 0
        return int((example.labels[first:] != IGNORED).sum())

    def _portions(self, tokenizer: PreTrainedTokenizerBase, split: str) -> tuple[Iterator[Encoded], Tally]:
        return self.portions(tokenizer, self.splits[split]), Tally(self.learned, partial(unknown_counts, tokenizer))

    def _kept(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, Tokenized] | None:
        """Return the examples from the cache, or by way of it; None: these rows are not kept."""
        if self._known_by is None or not token_cache.worth_keeping(self.splits):
            return None
        posed = asdict(replace(self.posed, columns=(), written=()))
        del posed["loss"]  # what is learned of an example is no part of it
        settings = {
            **self._known_by,
            "rows": self.hash,
            "kind": f"{type(self).__module__}.{type(self).__qualname__}",
            "max_length": self.max_length,
            "posed": posed,
            "demonstrations": self.demonstrations,
        }
        kept = token_cache.kept(self.splits, partial(self._portions, tokenizer), tokenizer, settings)
        tokenized, self.source_of_tokens = kept or (None, None)
        return tokenized

    def _drawn(self, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, str]]:
        """Draw the demonstrations from the training rows by the run's seed."""
        if not self.posed.shots:
            return []
        rows = self.splits["train"]
        shown = self.demonstrate(tokenizer, drawn(rows, self.units(rows), self.loading.seed))
        return demonstrated(shown, self.posed, len(rows))

    def examples(self, split: str) -> Sequence[Example]:
        """Return the examples of a split."""
        return self._of(split).examples

    def example_ids(self, split: str) -> list[str]:
        """Return the id of each example of a split; a batch's `index` points into this list."""
        return self._of(split).ids()

    def counts(self, split: str) -> tuple[Counts, Counts]:
        """Return how many tokens, and how many labelled ones, each example of a split has, (examples,) each."""
        return self._of(split).lengths, self._of(split).learned

    def deal(self, *, batches: int, start: int = 0) -> None:
        """Settle how many micro-batches training takes, per process, and how many of them are done already."""
        self._dealt = (batches, start)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of this process: those that `deal` settled, of all epochs."""
        assert self._dealt is not None, "call deal first"
        cut = self.pieces()
        collate = replace(self.collate, packed=cut.room)
        return training_loader(self._of("train"), collate, self._dealt, self.loading, cut, self.masking)

    def pieces(self) -> Cut:
        """Return what cuts training micro-batches into pieces."""
        how = self.loading
        return Cut.of(self._of("train"), self.posed, how.micro_batch_tokens, self.max_length if how.packing else None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return all validation batches. Every process evaluates every row: sharding would count padding rows twice."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return all test batches, in every process."""
        return self._evaluation("test")

    def probe_batch(self) -> dict[str, torch.Tensor]:
        """Return one small validation batch, always the same, on which two models can be compared."""
        rows = Numbered(self._of("val").examples, self.masking)
        return self.collate([rows[number] for number in range(min(_PROBE_ROWS, len(rows)))])

    def _evaluation(self, split: str) -> DataLoader[Any]:
        rows = self._of(split)
        return evaluation_loader(rows, self.collate, self.loading, self.masking)

    def _seen_in_training(self) -> list[str]:
        text_of = {split: self.by_text(self.splits[split]) for split in SPLITS}
        shared = overlap({split: text_of[split] for split in ("val", "test")}, text_of["train"])
        return [
            f"{count} of the {self.rows[split]} {split} rows are in training too, word for word."
            for split, count in shared.items()
            if count
        ]

    def _of(self, split: str) -> Tokenized:
        if split not in self._tokenized:
            raise KeyError(f"no split {split!r} yet: call tokenize first")
        return self._tokenized[split]
