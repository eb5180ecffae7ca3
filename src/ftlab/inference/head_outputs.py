"""Predictions of models with a head that reads the whole text: one class, several labels, or numbers."""

from collections.abc import Iterator, Sequence

import torch

from ftlab.core.errors import UserError
from ftlab.data.dataset import data_class_of
from ftlab.data.rows.row import Row
from ftlab.inference.loaded_run import LoadedRun, empty_data_module
from ftlab.inference.predictions import ClassPrediction, LabelsPrediction, NumberPrediction
from ftlab.tasks.multilabel import predicted_labels


def predict_class(loaded: LoadedRun, rows: Sequence[Row]) -> list[ClassPrediction]:
    """Return for each row its most probable class, and the probabilities of all classes."""
    predictions = []
    for logits in row_logits(loaded, rows):
        scores = dict(zip(loaded.run.task.labels, logits.softmax(-1).tolist(), strict=True))
        best = max(scores, key=scores.__getitem__)
        predictions.append(ClassPrediction(best, scores[best], scores))
    return predictions


def predict_labels(loaded: LoadedRun, rows: Sequence[Row]) -> list[LabelsPrediction]:
    """Return for each row the labels above the threshold, and the probabilities of all."""
    labels, predictions = loaded.run.task.labels, []
    for logits in row_logits(loaded, rows):
        probabilities = logits.sigmoid().tolist()
        scores = dict(zip(labels, probabilities, strict=True))
        predictions.append(LabelsPrediction(predicted_labels(probabilities, labels), scores))
    return predictions


def predict_numbers(loaded: LoadedRun, rows: Sequence[Row]) -> list[NumberPrediction]:
    """Return for each row a number on the target's own scale, or one for each of several targets.

    Raises:
        UserError: the record does not tell the scale.
    """
    task, directory = loaded.run.task, loaded.run.directory
    if not len(task.target_scales) == len(task.target_means) == len(task.labels):
        raise UserError(f"{directory}: its record lacks the targets' means and scales: restore it or run it again.")
    scales, means = torch.tensor(task.target_scales), torch.tensor(task.target_means)
    predictions = []
    for logits in row_logits(loaded, rows):
        numbers = dict(zip(task.labels, (logits * scales + means).tolist(), strict=True))
        predictions.append(NumberPrediction(numbers if len(numbers) > 1 else next(iter(numbers.values()))))
    return predictions


def row_logits(loaded: LoadedRun, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
    """Yield the logits of each row, (labels,), on the CPU."""
    run = loaded.run
    data_class, dataset = data_class_of(run.task.kind), run.config.dataset
    placeholders, labels_args = data_class.label_placeholders(run.task)
    data_args = data_class.init_args(dataset, dataset.columns) | labels_args
    labelled = [Row({**row.values, **placeholders}, row.where) for row in rows]  # nothing reads the placeholders
    data, collate = empty_data_module(run, loaded.base, run.config.max_length, **data_args)
    for _, logits in loaded.batch_logits(data, collate, labelled):
        yield from logits.cpu()
