"""Base class of the data modules: splits, tokenization, data loaders and statistics of the rows."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import DataError
from ftlab.data.encoding import token_cache
from ftlab.data.encoding.encoded_split import EncodedRows, SplitCounter, TokenizedSplit, split_in_memory
from ftlab.data.encoding.example import Counts, Example
from ftlab.data.encoding.masking import Masking
from ftlab.data.encoding.tokens import pad_id, unknown_counts
from ftlab.data.loading.batches import IndexedExamples, Loading, evaluation_loader, training_loader
from ftlab.data.loading.collate import Collate
from ftlab.data.loading.micro_batch import MicroBatchSplitter
from ftlab.data.prompting.demonstrations import balanced_shuffle, check_context_length, to_demonstrations
from ftlab.data.row_warnings import context_warning, cut_warnings, overlap_warnings, unknown_warnings
from ftlab.data.rows.column_roles import ColumnRoles, is_ours
from ftlab.data.rows.heap import trim_heap
from ftlab.data.rows.row import SPLITS, Origin, Row, Splits, canonical_json, data_hash
from ftlab.data.rows.row_store import row_chunks
from ftlab.data.rows.splits import SplitKey, stratified_subset

_PROBE_ROWS = 4
_CHUNK_ROWS, _CHUNK_CHARACTERS = 10_000, 2**23  # a chunk ends at whichever is reached first


class DataModule(ColumnRoles, LightningDataModule):
    """Rows in splits; batches after `tokenize`. There is one subclass per kind of data.

    Attributes:
        task: the task, with its labels.
        task_for_model: the task adapted to method and model; set by `tokenize`.
        demonstrations: few-shot examples as role -> text, with their `id`; set by `tokenize`.
        hash: 64 hex digits over the rows of all splits; does not depend on the tokenizer.
        rows: split -> number of examples; before `tokenize`, of rows.
        all_rows: split -> number of rows that were read.
        rows_within_limits: split -> number of rows within the budget's limits.
        origin: how the rows were read.
        dropped: reason -> number of dropped rows, over all splits.
        unknown_token_share: fraction of the training tokens that are unknown to the tokenizer.
        truncated_share: fraction of the training rows that are truncated to max_length; None if unknown.
        warnings: sentences for readers of the results.
        source_of_tokens: where tokenized rows of cacheable data are from; set by `tokenize`.
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
        cache_key: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the rows of the splits, whose values are role -> text.

        Args:
            splits: rows of train, val and test.
            max_length: maximum number of tokens per example, special tokens included.
            loading: settings of the data loaders.
            limits: split -> maximum number of rows.
            split_seed: decides which rows a limit keeps.
            origin: how the rows were read.
            cache_key: settings that decide, together with rows and tokenizer, how rows are encoded; None for no cache.
        """
        super().__init__()
        self.splits = {
            split: stratified_subset(rows, self.split_keys(rows), (limits or {}).get(split), split_seed)
            for split, rows in splits.items()
        }
        self.max_length = max_length
        self.loading = loading
        self.hash = data_hash(self.splits)
        self.rows = {split: len(rows) for split, rows in self.splits.items()}
        self.all_rows = {split: len(rows) for split, rows in splits.items()}
        self.rows_within_limits = self.rows
        self.origin = origin or Origin()
        self.dropped = dict(self.origin.dropped)
        self.warnings = [*self.origin.warnings, *self.origin.doubts, *self._overlap_warnings()]
        self.task_for_model = self.task
        self.demonstrations: list[dict[str, str]] = []
        self.unknown_token_share: float | None = None
        self.truncated_share: float | None = None
        self.source_of_tokens: str | None = None
        self._cache_key = cache_key
        self._tokenized: dict[str, TokenizedSplit] = {}
        self.masking: Masking | None = None
        self.collate: Collate  # set by `tokenize`
        self._batch_range: tuple[int, int] | None = None  # number of batches of the run, and of those done already

    @property
    @abstractmethod
    def task(self) -> Task:
        """The task of this data."""

    @abstractmethod
    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Encode the rows of one split as examples, with the few-shot examples before each."""

    def select_demonstrations(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Return the first of these rows that fit as few-shot examples, `task_for_model.shots` of them."""
        raise NotImplementedError  # only kinds with `demonstrations` are asked

    @classmethod
    def split_keys(cls, rows: Sequence[Row]) -> Iterator[SplitKey]:
        """Yield the split key of each row: rows with the same input text stay in one split."""
        return cls.input_keys(rows)

    @classmethod
    def input_keys(cls, rows: Iterable[Row]) -> Iterator[SplitKey]:
        """Yield a key per row that is equal for rows with the same input text."""
        return (
            SplitKey(canonical_json({role: row.values.get(role) for role in cls.kind.roles.inputs})) for row in rows
        )

    def tokenize(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model: str = "this model",
        task: Task | None = None,
        decoder_start: int | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Encode every split with this tokenizer and collect the statistics of its tokens.

        Args:
            tokenizer: the model's tokenizer; batches are padded on its padding side.
            model: name of the model, for warnings.
            task: the task adapted to method and model; None for the task of the data.
            decoder_start: first decoder input of an encoder-decoder.
            advance: called with the number of rows of each chunk that is encoded.

        Raises:
            DataError: max_length with the few-shot examples exceeds the model's context, no row of a split fits into
                max_length, or too few training rows fit as few-shot examples.
        """
        self.collate = self.prepare_encoding(tokenizer, model=model, task=task, decoder_start=decoder_start)
        self.masking = Masking.of(tokenizer) if self.kind.masks else None
        self._advance = advance
        self._tokenized = self._load_or_tokenize(tokenizer) or {
            split: split_in_memory(*self._encoded(tokenizer, split)) for split in self.splits
        }
        dropped = (Counter(tokenized.summary.dropped) for tokenized in self._tokenized.values())
        self.dropped = dict(sum(dropped, Counter(self.origin.dropped)))  # a sum leaves out zeros
        self.rows = {split: len(tokenized.examples) for split, tokenized in self._tokenized.items()}
        for split, count in self.rows.items():
            if not count:
                reasons = self._tokenized[split].summary.reasons
                raise DataError(
                    f"no {split} row is left within {self.max_length} tokens ({reasons}): "
                    f"raise dataset.max_length and budget.max_length."
                )
        truncated = self._tokenized["train"].summary.truncated
        self.truncated_share = None if truncated is None else truncated / self.rows_within_limits["train"]
        self.unknown_token_share = self._tokenized["train"].summary.unknown_share
        self.warnings += self._token_warnings(model)

    def prepare_encoding(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        model: str = "this model",
        task: Task | None = None,
        decoder_start: int | None = None,
        demonstrations: Sequence[Mapping[str, str]] | None = None,
    ) -> Collate:
        """Set what `encode` needs and return the collator of its examples; for the arguments see `tokenize`.

        Without `demonstrations` from an earlier run, few-shot examples are drawn with the seed of the run.
        """
        self.task_for_model = task or self.task
        if self.kind.generates and self.max_length > (context := tokenizer.model_max_length):
            self.warnings.append(context_warning(model, context, self.max_length))
            self.max_length = context
        check_context_length(self.task_for_model, self.max_length, tokenizer.model_max_length, model=model)
        self.demonstrations = [dict(row) for row in demonstrations or self._draw_demonstrations(tokenizer)]
        side: Literal["left", "right"] = "left" if tokenizer.padding_side == "left" else "right"
        return Collate(pad_id(tokenizer), side, decoder_start if self.task_for_model.decoder_writes else None)

    def free_rows(self) -> None:
        """Free the memory of the rows, which batches do not need; those of the test split stay, to be shown."""
        self.splits = {"test": self.splits["test"]}
        trim_heap()

    def chunks(self, rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
        """Yield chunks of rows that are encoded together."""
        return row_chunks(rows, _CHUNK_ROWS, _CHUNK_CHARACTERS, self._advance)

    def encode_chunks(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Iterator[EncodedRows]:
        """Encode the rows of one split chunk by chunk."""
        return (self.encode(tokenizer, chunk) for chunk in self.chunks(rows))

    def num_loss_tokens(self, example: Example) -> int:
        """Return the number of tokens of this example with a loss; a decoder does not predict the first token."""
        if not isinstance(example.labels, np.ndarray) or example.labels.dtype == np.float32:
            return 1
        return int((example.labels[self.task_for_model.first_predicted :] != IGNORE_INDEX).sum())

    def _encoded(self, tokenizer: PreTrainedTokenizerBase, split: str) -> tuple[Iterator[EncodedRows], SplitCounter]:
        counter = SplitCounter(self.num_loss_tokens, partial(unknown_counts, tokenizer))
        return self.encode_chunks(tokenizer, self.splits[split]), counter

    def _load_or_tokenize(self, tokenizer: PreTrainedTokenizerBase) -> dict[str, TokenizedSplit] | None:
        """Return the tokenized splits from the cache, encoded first if necessary; None if they are not cacheable."""
        if self._cache_key is None or not is_ours(type(self)) or not token_cache.is_worth_caching(self.splits):
            return None
        task_for_model = asdict(self.task_for_model)
        for field in ("kind", "loss", "columns", "generation_columns"):  # examples do not depend on them
            del task_for_model[field]
        settings = {
            **self._cache_key,
            "rows": self.hash,
            "kind": f"{type(self).__module__}.{type(self).__qualname__}",
            "max_length": self.max_length,
            "task": task_for_model,
            "demonstrations": self.demonstrations,
        }
        cached = token_cache.load_or_tokenize(self.splits, partial(self._encoded, tokenizer), tokenizer, settings)
        tokenized, self.source_of_tokens = cached or (None, None)
        return tokenized

    def _draw_demonstrations(self, tokenizer: PreTrainedTokenizerBase) -> list[dict[str, str]]:
        """Draw the few-shot examples from the training rows with the seed of the run."""
        if not self.task_for_model.shots:
            return []
        rows = self.splits["train"]
        candidates = balanced_shuffle(rows, self.split_keys(rows), self.loading.seed)
        return to_demonstrations(self.select_demonstrations(tokenizer, candidates), self.task_for_model, len(rows))

    def examples(self, split: str) -> Sequence[Example]:
        """Return the examples of a split."""
        return self.tokenized_split(split).examples

    def example_ids(self, split: str) -> list[str]:
        """Return the id of each example of a split; a batch's `index` points into this list."""
        return self.tokenized_split(split).ids()

    def token_counts(self, split: str) -> tuple[Counts, Counts]:
        """Return the number of tokens, and of tokens with a loss, of each example of a split, (examples,) each."""
        tokenized = self.tokenized_split(split)
        return tokenized.lengths, tokenized.num_loss_tokens

    def set_batch_range(self, *, batches: int, start: int = 0) -> None:
        """Set the number of training micro-batches per process, and how many of them are done already."""
        self._batch_range = (batches, start)

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the training batches of this process, of all epochs; see `set_batch_range`."""
        assert self._batch_range is not None, "call set_batch_range first"
        train, splitter = self.tokenized_split("train"), self.micro_batch_splitter()
        collate = replace(self.collate, packed_length=splitter.packed_length)
        return training_loader(train, collate, self._batch_range, self.loading, splitter, self.masking)

    def micro_batch_splitter(self) -> MicroBatchSplitter:
        """Return the splitter of training micro-batches."""
        train, packed_length = self.tokenized_split("train"), self.max_length if self.loading.packing else None
        return MicroBatchSplitter.of(train, self.task_for_model, self.loading.micro_batch_tokens, packed_length)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return all validation batches, in every process: sharding would count padding rows twice."""
        return evaluation_loader(self.tokenized_split("val"), self.collate, self.loading, self.masking)

    def test_dataloader(self) -> DataLoader[Any]:
        """Return all test batches, in every process."""
        return evaluation_loader(self.tokenized_split("test"), self.collate, self.loading, self.masking)

    def probe_batch(self) -> dict[str, torch.Tensor]:
        """Return one small, fixed validation batch, to compare the outputs of two models."""
        examples = IndexedExamples(self.tokenized_split("val").examples, self.masking)
        return self.collate([examples[index] for index in range(min(_PROBE_ROWS, len(examples)))])

    def _overlap_warnings(self) -> list[str]:
        return overlap_warnings({split: self.input_keys(self.splits[split]) for split in SPLITS}, self.rows)

    def _token_warnings(self, model: str) -> list[str]:
        summaries = {split: tokenized.summary for split, tokenized in self._tokenized.items()}
        num_rows = self.rows_within_limits["train"]
        cut = cut_warnings(summaries["train"], num_rows, self.max_length) if self.kind.generates else []
        return [*cut, *unknown_warnings(summaries, model)]

    def tokenized_split(self, split: str) -> TokenizedSplit:
        """Return the tokenized examples of a split, with their ids and statistics."""
        if split not in self._tokenized:
            raise KeyError(f"no split {split!r} yet: call tokenize first")
        return self._tokenized[split]
