"""Test metrics per class, per slice and per confidence bin, computed from the predictions."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_stat_scores, multilabel_stat_scores

from ftlab.config.task import Task
from ftlab.data.rows.tags import has_entity_tags
from ftlab.record import ClassScores, Metric, ReliabilityBin, Slice
from ftlab.tasks.base import finite_metrics
from ftlab.tasks.calibration import BINS, confidence_bins

Predictions = Sequence[dict[str, Any]]  # rows of `TaskModule.predictions`

_LENGTHS = ("short", "middling", "long")


def per_class_scores(predictions: Predictions, task: Task, limit: int) -> tuple[list[ClassScores], int]:
    """Return the scores of the `limit` most frequent classes, in the order of the labels, and how many are left out.

    For tagged entities each entity type is a class, and an entity counts as correct only if all its words are.
    """
    if task.kind.predicts not in ("class", "labels", "tags"):
        return [], 0
    scores = _entity_scores(predictions) if _has_entities(task) else _label_scores(predictions, task)
    by_support = sorted(range(len(scores)), key=lambda index: (-scores[index].support, index))
    return [scores[index] for index in sorted(by_support[:limit])], max(0, len(scores) - limit)


def slices_by_length(predictions: Predictions, task: Task, lengths: Sequence[int], unit: str) -> list[Slice]:
    """Return three slices with a third of the rows each; fewer if too many rows are equally long.

    Args:
        predictions: of the test rows.
        task: decides which metrics a slice has.
        lengths: of all test rows; a prediction's `index` points into them.
        unit: of the lengths, for the slices' names.
    """
    lower, upper = np.quantile(lengths, (1 / 3, 2 / 3), method="lower").tolist()
    thirds: dict[str, list[dict[str, Any]]] = {name: [] for name in _LENGTHS}
    for row in predictions:
        length = lengths[row["index"]]
        thirds[_LENGTHS[(length > lower) + (length > upper)]].append(row)
    bounds = {"short": f"up to {lower:,}", "middling": f"up to {upper:,}", "long": f"above {upper:,}"}
    return [
        _slice("length", f"{name}, {bounds[name]} {unit}", rows, task)
        for name, rows in thirds.items()
        if rows and len(rows) < len(predictions)
    ]


def slices_by_column(
    predictions: Predictions, task: Task, values: Sequence[str], column: str, limit: int
) -> tuple[list[Slice], int]:
    """Return a slice for each of the `limit` most frequent values of a column, and how many values are left out."""
    counts = Counter(values)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:limit]
    rows_by_value: dict[str, list[dict[str, Any]]] = {value: [] for value in frequent}
    for row in predictions:
        value = values[row["index"]]
        if value in rows_by_value:
            rows_by_value[value].append(row)
    slices = [_slice(column, value, rows, task) for value, rows in rows_by_value.items()]
    return slices, len(counts) - len(frequent)


def reliability_diagram(predictions: Predictions, task: Task) -> list[ReliabilityBin]:
    """Return a reliability diagram (Guo et al., 2017) of predicted classes, without its empty bins.

    The distances of its bins' accuracies and confidences, weighted by their rows, add up to the calibration error.
    """
    if task.kind.predicts != "class" or "scores" not in predictions[0]:
        return []
    confidence = np.array([max(row["scores"]) for row in predictions])
    correct = np.array([row["label"] == row["prediction"] for row in predictions])
    bin_of_row = confidence_bins(torch.tensor(confidence, dtype=torch.float32)).numpy()  # as the metric computes
    return [
        ReliabilityBin(
            lower=number / BINS,
            upper=(number + 1) / BINS,
            n=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(correct[inside].mean()),
        )
        for number in range(BINS)
        if (inside := bin_of_row == number).any()
    ]


def _has_entities(task: Task) -> bool:
    return task.kind.predicts == "tags" and has_entity_tags(task.labels)


def _label_scores(predictions: Predictions, task: Task) -> list[ClassScores]:
    class_index = {label: index for index, label in enumerate(task.labels)}
    if task.kind.predicts == "labels":
        target, predicted = (
            torch.tensor([[label in row[key] for label in task.labels] for row in predictions]).long()
            for key in ("label", "prediction")
        )
        counts = multilabel_stat_scores(predicted, target, len(class_index), average=None)
    else:
        pairs = [(row["label"], row["prediction"]) for row in predictions]
        if task.kind.predicts == "tags":
            pairs = [pair for tags, predicted_tags in pairs for pair in zip(tags, predicted_tags, strict=True)]
        no_class = len(class_index)  # of words that are truncated away
        target, predicted = (
            torch.tensor([class_index.get(pair[position], no_class) for pair in pairs]) for position in (0, 1)
        )
        counts = multiclass_stat_scores(predicted, target, len(class_index) + 1, average=None)[:-1]
    return [
        _scores(label, true_positives=tp, predicted=tp + fp, support=support)
        for label, (tp, fp, _, _, support) in zip(task.labels, counts.tolist(), strict=True)
    ]


def _scores(label: str, *, true_positives: int, predicted: int, support: int) -> ClassScores:
    return ClassScores(
        label=label,
        support=support,
        precision=true_positives / predicted if predicted else None,
        recall=true_positives / support if support else None,
        f1=2 * true_positives / (predicted + support) if predicted + support else None,
    )


def _entity_scores(predictions: Predictions) -> list[ClassScores]:
    target, predicted = [row["label"] for row in predictions], [row["prediction"] for row in predictions]
    predicted_types = _entity_types(predicted)
    types = _entity_types(target) | predicted_types
    if not types:
        return []
    # imports scikit-learn, which this task has imported already; other tasks do without
    from seqeval.metrics import classification_report

    report = classification_report(target, predicted, output_dict=True, zero_division=0)
    return [
        ClassScores(
            label=name,
            support=int(report[name]["support"]),
            precision=float(report[name]["precision"]) if name in predicted_types else None,
            recall=float(report[name]["recall"]) if report[name]["support"] else None,
            f1=float(report[name]["f1-score"]),
        )
        for name in sorted(types)
    ]


def _entity_types(tagged_rows: list[list[str]]) -> set[str]:
    return {tag[2:] for tags in tagged_rows for tag in tags if tag[1:2] == "-"}


def _slice(by: str, value: str, rows: Predictions, task: Task) -> Slice:
    return Slice(by=by, value=value, n=len(rows), metrics=_slice_metrics(rows, task))


def _slice_metrics(rows: Predictions, task: Task) -> dict[str, Metric]:
    """Return the metrics that can be computed from predictions alone."""
    predicts = task.kind.predicts
    if predicts == "tokens":  # means per token, as in the language model's own metrics
        tokens = sum(row["tokens"] for row in rows)
        loss = sum(row["loss"] * row["tokens"] for row in rows) / max(tokens, 1)
        accuracy = sum(row["token_accuracy"] * row["tokens"] for row in rows) / max(tokens, 1)
        return {"loss": finite_metrics(loss, tokens), "token_accuracy": finite_metrics(accuracy, tokens)}
    metrics = {"loss": finite_metrics(sum(row["loss"] for row in rows) / len(rows), len(rows))}
    if predicts == "numbers":
        errors = [np.abs(np.subtract(row["label"], row["prediction"])).mean() for row in rows]
        metrics["mae"] = finite_metrics(float(np.mean(errors)), len(rows))
    elif predicts == "tags":
        hits = [
            tag == predicted for row in rows for tag, predicted in zip(row["label"], row["prediction"], strict=True)
        ]
        metrics["token_accuracy"] = finite_metrics(float(np.mean(hits)), len(hits))
    elif predicts in ("class", "labels"):
        hits = [row["label"] == row["prediction"] for row in rows]
        name = "accuracy" if predicts == "class" else "subset_accuracy"
        metrics[name] = finite_metrics(float(np.mean(hits)), len(rows))
    return metrics
