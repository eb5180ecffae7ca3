"""Predictions of models with a head that reads the whole text: one class, several labels, or numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from ftlab.core.batch import model_inputs
from ftlab.core.errors import UserError
from ftlab.data.dataset import data_class_of
from ftlab.data.rows.row import Row
from ftlab.inference.encoding import empty_data_module
from ftlab.inference.finished_run import FinishedRun
from ftlab.models import Base
from ftlab.tasks.multilabel import predicted_labels

Prediction = dict[str, Any]


def predict_class(
    run: FinishedRun,
    base: Base,
    model: nn.Module,
    rows: Sequence[Row],
    *,
    max_new_tokens: int,
    advance: Callable[[int], None],
) -> list[Prediction]:
    """Return for each row its `prediction`, the `probability` of it, and the `scores` of all classes."""
    predictions = []
    for logits in row_logits(run, base, model, rows, advance):
        scores = dict(zip(run.task.labels, logits.softmax(-1).tolist(), strict=True))
        best = max(scores, key=scores.__getitem__)
        predictions.append({"prediction": best, "probability": scores[best], "scores": scores})
    return predictions


def predict_labels(
    run: FinishedRun,
    base: Base,
    model: nn.Module,
    rows: Sequence[Row],
    *,
    max_new_tokens: int,
    advance: Callable[[int], None],
) -> list[Prediction]:
    """Return for each row its `prediction`, a list of the labels above the threshold, and the `scores` of all."""
    predictions = []
    for logits in row_logits(run, base, model, rows, advance):
        probabilities = logits.sigmoid().tolist()
        predicted = predicted_labels(probabilities, run.task.labels)
        predictions.append({"prediction": predicted, "scores": dict(zip(run.task.labels, probabilities, strict=True))})
    return predictions


def predict_numbers(
    run: FinishedRun,
    base: Base,
    model: nn.Module,
    rows: Sequence[Row],
    *,
    max_new_tokens: int,
    advance: Callable[[int], None],
) -> list[Prediction]:
    """Return for each row its `prediction`: a number on the target's own scale; for several targets a dict of them.

    Raises:
        UserError: the record does not tell the scale.
    """
    task = run.task
    if not len(task.target_scales) == len(task.target_means) == len(task.labels):
        raise UserError(
            f"{run.directory}: the record lacks the targets' means and scales: restore it, or run it again."
        )
    scales, means = torch.tensor(task.target_scales), torch.tensor(task.target_means)
    predictions: list[Prediction] = []
    for logits in row_logits(run, base, model, rows, advance):
        numbers = dict(zip(task.labels, (logits * scales + means).tolist(), strict=True))
        predictions.append({"prediction": numbers if len(numbers) > 1 else next(iter(numbers.values()))})
    return predictions


def row_logits(
    run: FinishedRun, base: Base, model: nn.Module, rows: Sequence[Row], advance: Callable[[int], None]
) -> Iterator[torch.Tensor]:
    """Yield the logits of each row, (labels,), on the CPU."""
    placeholders, data_args = data_class_of(run.task.kind).label_placeholders(run.task)
    labelled = [Row({**row.values, **placeholders}, row.where) for row in rows]  # nothing reads the placeholders
    data, collate = empty_data_module(run, base, run.config.max_length, **data_args)
    examples = data.encode(base.tokenizer, labelled).examples
    size, device = run.config.hardware.eval_batch_size, next(model.parameters()).device
    for start in range(0, len(examples), size):
        batch = collate(list(enumerate(examples[start : start + size])))
        yield from run.method.forward(model, model_inputs(batch, device)).float().cpu()
        advance(len(batch["index"]))
