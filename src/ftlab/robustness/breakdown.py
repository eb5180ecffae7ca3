"""The test split in parts: class by class, slice by slice, and bin by bin of what the model was sure of."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_stat_scores, multilabel_stat_scores

from ftlab.data.tags import mark_entities
from ftlab.record import Bin, ClassScores, Metric, Slice
from ftlab.tasks.base import measured
from ftlab.tasks.spec import MULTILABEL, REGRESSION, TOKEN_CLASSIFICATION, Task

Predictions = Sequence[dict[str, Any]]  # as `TaskModule.predictions` has them

_BINS = 15  # as the calibration error has
_LENGTHS = ("short", "middling", "long")


def classes(predictions: Predictions, task: Task, most: int) -> tuple[list[ClassScores], int]:
    """Return the scores of the most frequent classes, in the order of the labels, and how many are left out.

    Of tagged entities each type is a class, and the words must be right to the last one.
    """
    if not task.labels or task.name == REGRESSION.name:
        return [], 0
    found = _entities(predictions) if _of_entities(task) else _counted(predictions, task)
    ranked = sorted(range(len(found)), key=lambda place: (-found[place].support, place))
    return [found[place] for place in sorted(ranked[:most])], max(0, len(found) - most)


def by_length(predictions: Predictions, task: Task, lengths: Sequence[int], unit: str) -> list[Slice]:
    """Return three slices with a third of the rows each; fewer where too many are equally long.

    Args:
        predictions: of the test rows.
        task: tells what is right.
        lengths: of each row, by its `index`.
        unit: in which they are counted.
    """
    first, second = np.quantile(lengths, (1 / 3, 2 / 3), method="lower").tolist()
    parts: dict[str, list[dict[str, Any]]] = {name: [] for name in _LENGTHS}
    for row in predictions:
        length = lengths[row["index"]]
        parts[_LENGTHS[(length > first) + (length > second)]].append(row)
    bounds = {"short": f"up to {first:,}", "middling": f"up to {second:,}", "long": f"above {second:,}"}
    return [
        _slice("length", f"{name}, {bounds[name]} {unit}", rows, task)
        for name, rows in parts.items()
        if rows and len(rows) < len(predictions)
    ]


def by_column(
    predictions: Predictions, task: Task, values: Sequence[str], column: str, most: int
) -> tuple[list[Slice], int]:
    """Return a slice for each of the most frequent values of a column, and how many are left out."""
    counts = Counter(values)
    kept = sorted(counts, key=lambda value: (-counts[value], value))[:most]
    rows: dict[str, list[dict[str, Any]]] = {value: [] for value in kept}
    for row in predictions:
        if values[row["index"]] in rows:
            rows[values[row["index"]]].append(row)
    return [_slice(column, value, part, task) for value, part in rows.items()], len(counts) - len(kept)


def reliability(predictions: Predictions, task: Task) -> list[Bin]:
    """Return a reliability diagram (Guo et al., 2017) of single-label classification, without its empty bins."""
    if task.name != "classification":
        return []
    sure = np.array([max(row["scores"]) for row in predictions])
    right = np.array([row["label"] == row["prediction"] for row in predictions])
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    return [
        Bin(
            lower=number / _BINS,
            upper=(number + 1) / _BINS,
            n=int(inside.sum()),
            confidence=float(sure[inside].mean()),
            accuracy=float(right[inside].mean()),
        )
        for number in range(_BINS)
        if (inside := place == number).any()
    ]


def _of_entities(task: Task) -> bool:
    return task.name == TOKEN_CLASSIFICATION.name and mark_entities(task.labels)


def _counted(predictions: Predictions, task: Task) -> list[ClassScores]:
    number = {label: index for index, label in enumerate(task.labels)}
    if task.name == MULTILABEL.name:
        given, said = (
            torch.tensor([[label in row[key] for label in task.labels] for row in predictions]).long()
            for key in ("label", "prediction")
        )
        counts = multilabel_stat_scores(said, given, len(number), average=None)
    else:
        pairs = [(row["label"], row["prediction"]) for row in predictions]
        if task.name == TOKEN_CLASSIFICATION.name:
            pairs = [pair for label, guess in pairs for pair in zip(label, guess, strict=True)]
        given, said = (
            torch.tensor([number.get(pair[side], len(number)) for pair in pairs])  # a word that is not seen: no class
            for side in (0, 1)
        )
        counts = multiclass_stat_scores(said, given, len(number) + 1, average=None)[:-1]
    return [
        _scores(label, right=right, predicted=right + wrong, support=support)
        for label, (right, wrong, _, _, support) in zip(task.labels, counts.tolist(), strict=True)
    ]


def _scores(label: str, *, right: int, predicted: int, support: int) -> ClassScores:
    return ClassScores(
        label=label,
        support=support,
        precision=right / predicted if predicted else None,
        recall=right / support if support else None,
        f1=2 * right / (predicted + support) if predicted + support else None,
    )


def _entities(predictions: Predictions) -> list[ClassScores]:
    true, said = [row["label"] for row in predictions], [row["prediction"] for row in predictions]
    types = {tag[2:] for rows in (true, said) for row in rows for tag in row if tag[1:2] == "-"}
    if not types:
        return []
    from seqeval.metrics import classification_report  # with scikit-learn; the task has it by now, other tasks do not

    report = classification_report(true, said, output_dict=True, zero_division=0)
    guessed = {tag[2:] for row in said for tag in row if tag[1:2] == "-"}
    return [
        ClassScores(
            label=name,
            support=int(report[name]["support"]),
            precision=float(report[name]["precision"]) if name in guessed else None,
            recall=float(report[name]["recall"]) if report[name]["support"] else None,
            f1=float(report[name]["f1-score"]),
        )
        for name in sorted(types)
    ]


def _slice(by: str, value: str, rows: Predictions, task: Task) -> Slice:
    return Slice(by=by, value=value, n=len(rows), metrics=_of_rows(rows, task))


def _of_rows(rows: Predictions, task: Task) -> dict[str, Metric]:
    """Return what can be said of some rows from their predictions alone."""
    if not task.labels:  # a loss per token, as the language model's own
        tokens = sum(row["tokens"] for row in rows)
        loss = sum(row["loss"] * row["tokens"] for row in rows) / max(tokens, 1)
        right = sum(row["token_accuracy"] * row["tokens"] for row in rows) / max(tokens, 1)
        return {"loss": measured(loss, tokens), "token_accuracy": measured(right, tokens)}
    loss = {"loss": measured(sum(row["loss"] for row in rows) / len(rows), len(rows))}
    if task.name == REGRESSION.name:
        errors = [np.abs(np.subtract(row["label"], row["prediction"])).mean() for row in rows]
        return {**loss, "mae": measured(float(np.mean(errors)), len(rows))}
    if task.name == TOKEN_CLASSIFICATION.name:
        hits = [a == b for row in rows for a, b in zip(row["label"], row["prediction"], strict=True)]
        return {**loss, "token_accuracy": measured(float(np.mean(hits)), len(hits))}
    name = "subset_accuracy" if task.name == MULTILABEL.name else "accuracy"
    hits = [row["label"] == row["prediction"] for row in rows]
    return {**loss, name: measured(float(np.mean(hits)), len(rows))}
