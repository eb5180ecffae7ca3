"""Predictions of models with a head that reads the whole text: one class, several labels, or numbers."""

from collections.abc import Iterator, Sequence

import torch

from ftlab.core.errors import UserError
from ftlab.data.dataset import data_class_of
from ftlab.data.rows.row import Row
from ftlab.inference.loaded_run import LoadedRun, Prediction, empty_data_module
from ftlab.tasks.multilabel import predicted_labels


def predict_class(loaded: LoadedRun, rows: Sequence[Row]) -> list[Prediction]:
    """Return for each row its `prediction`, the `probability` of it, and the `scores` of all classes."""
    predictions = []
    for logits in row_logits(loaded, rows):
        scores = dict(zip(loaded.run.task.labels, logits.softmax(-1).tolist(), strict=True))
        best = max(scores, key=scores.__getitem__)
        predictions.append({"prediction": best, "probability": scores[best], "scores": scores})
    return predictions


def predict_labels(loaded: LoadedRun, rows: Sequence[Row]) -> list[Prediction]:
    """Return for each row its `prediction`, a list of the labels above the threshold, and the `scores` of all."""
    labels, predictions = loaded.run.task.labels, []
    for logits in row_logits(loaded, rows):
        probabilities = logits.sigmoid().tolist()
        scores = dict(zip(labels, probabilities, strict=True))
        predictions.append({"prediction": predicted_labels(probabilities, labels), "scores": scores})
    return predictions


def predict_numbers(loaded: LoadedRun, rows: Sequence[Row]) -> list[Prediction]:
    """Return for each row its `prediction`: a number on the target's own scale; for several targets a dict of them.

    Raises:
        UserError: the record does not tell the scale.
    """
    task, directory = loaded.run.task, loaded.run.directory
    if not len(task.target_scales) == len(task.target_means) == len(task.labels):
        raise UserError(f"{directory}: its record lacks the targets' means and scales: restore it or run it again.")
    scales, means = torch.tensor(task.target_scales), torch.tensor(task.target_means)
    predictions: list[Prediction] = []
    for logits in row_logits(loaded, rows):
        numbers = dict(zip(task.labels, (logits * scales + means).tolist(), strict=True))
        predictions.append({"prediction": numbers if len(numbers) > 1 else next(iter(numbers.values()))})
    return predictions


def row_logits(loaded: LoadedRun, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
    """Yield the logits of each row, (labels,), on the CPU."""
    run = loaded.run
    placeholders, data_args = data_class_of(run.task.kind).label_placeholders(run.task)
    labelled = [Row({**row.values, **placeholders}, row.where) for row in rows]  # nothing reads the placeholders
    data, collate = empty_data_module(run, loaded.base, run.config.max_length, **data_args)
    for _, logits in loaded.batch_logits(data, collate, labelled):
        yield from logits.cpu()
