"""Finished run with its model, as the functions that predict rows of a task kind are given it in each call."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ftlab.core.batch import Batch, model_inputs
from ftlab.data.base import DataModule
from ftlab.data.dataset import data_class_of
from ftlab.data.loading.batches import Loading
from ftlab.data.loading.collate import Collate
from ftlab.data.rows.row import Row
from ftlab.inference.finished_run import FinishedRun
from ftlab.inference.predictions import Prediction
from ftlab.models import Base


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """A finished run with its model.

    Attributes:
        run: the run.
        base: its base model.
        model: the base with the trained weights, in evaluation mode.
        max_new_tokens: largest number of tokens that a language model generates.
        advance: called with the number of rows done since the last call.
    """

    run: FinishedRun
    base: Base
    model: nn.Module
    max_new_tokens: int
    advance: Callable[[int], None]

    def batch_logits(
        self, data: DataModule, collate: Collate, rows: Sequence[Row]
    ) -> Iterator[tuple[Batch, torch.Tensor]]:
        """Yield each batch of the rows with its logits in float32, on the model's device.

        Args:
            data: encodes the rows; see `empty_data_module`.
            collate: makes a batch of encoded rows.
            rows: with placeholders for what is to be predicted.
        """
        examples, device = data.encode(self.base.tokenizer, rows).examples, next(self.model.parameters()).device
        size = self.run.config.hardware.eval_batch_size
        for start in range(0, len(examples), size):
            batch = collate(list(enumerate(examples[start : start + size])))
            yield batch, self.run.method.forward(self.model, model_inputs(batch, device)).float()
            self.advance(len(batch["index"]))


# Function that predicts rows, given as role -> text without labels or responses; `TaskKind.predict` names it.
# It returns a prediction for each row, in order, of any type that derives from `Prediction`.
PredictRows = Callable[[LoadedRun, Sequence[Row]], Sequence[Prediction]]


def empty_data_module(run: FinishedRun, base: Base, max_length: int, **data_args: Any) -> tuple[DataModule, Collate]:
    """Return a data module without rows that encodes rows as the run did, and its collate function.

    Args:
        run: the run.
        base: its base model.
        max_length: maximum number of tokens per example.
        data_args: arguments of the data module of the run's task kind.
    """
    size = run.config.hardware.eval_batch_size
    data = data_class_of(run.task.kind)(
        {"train": [], "val": [], "test": []},
        max_length=max_length,
        loading=Loading(micro_batch_size=size, eval_batch_size=size),
        **data_args,
    )
    collate = data.prepare_encoding(
        base.tokenizer,
        model=run.config.model.name,
        task=run.task,
        decoder_start=getattr(base.model.config, "decoder_start_token_id", None),
        demonstrations=run.demonstrations,
    )
    return data, collate
