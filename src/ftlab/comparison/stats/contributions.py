"""Contributions of the test examples to a metric: numbers whose mean is the metric.

For a mean, such as accuracy, they are the examples' values. For other metrics they are the pseudo-values of the
infinitesimal jackknife, metric plus influence of the example (Jaeckel, 1972; Efron, 1982, chapter 6), so that the same
analysis serves every metric. This is exact to first order, and good from some hundred examples on.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ftlab.comparison.stats.metric_ratios import MetricRatios, mean_of, ratio_of
from ftlab.comparison.stats.variance import Array
from ftlab.record import PredictionType

_PER_TOKEN = ("loss", "token_accuracy")  # columns that are means over the tokens of an example
_MAX_LOSS = 700.0  # nats; the exponential of more overflows


def has_own_column(metric: str, available: Sequence[str]) -> bool:
    """Return whether the metric is the mean of a column of its name, over the examples that have a value there.

    ROUGE has one, as text is not generated for every example, and so has a metric of a user's own task kind.
    """
    return metric in available and metric not in _PER_TOKEN


def required_columns(metric: str, available: list[str]) -> list[str] | None:
    """Return the columns of predictions.parquet that this metric is computed from; None if it cannot be.

    Args:
        metric: name of a test metric.
        available: columns of the file.
    """
    tokens = ["tokens"] if "tokens" in available else []
    if has_own_column(metric, available):
        required = [metric]
    elif metric in ("loss", "perplexity"):
        required = ["loss", *tokens]
    elif metric == "token_accuracy" and tokens:
        required = ["token_accuracy", *tokens]
    elif metric in _LABEL_METRICS:
        required = ["label", "prediction"]
    else:
        return None
    return required if set(required) <= set(available) else None


def contributions(metric: str, predicts: PredictionType, table: pa.Table) -> Array:
    """Return each example's contribution, (examples,).

    Args:
        metric: a metric for which `required_columns` is not None.
        predicts: the record's; micro-F1 differs between one class and several labels per example.
        table: the required columns.

    Raises:
        ValueError: a column has values of another kind, or some are missing.
    """
    values = metric_ratios(metric, predicts, table).contributions()
    return values if metric != "perplexity" else _exponential(values)


def metric_ratios(metric: str, predicts: PredictionType, table: pa.Table) -> MetricRatios:
    """Return the ratios of sums over examples that the metric is made of; of a perplexity those of its loss.

    Correlations are no such ratios: theirs are the contributions. See `contributions` for arguments and errors.
    """
    if has_own_column(metric, table.column_names):
        return mean_of(_numbers(table[metric]))
    if metric in ("loss", "perplexity"):
        return _per_token(table, "loss")
    if metric == "token_accuracy" and "tokens" in table.column_names:
        return _per_token(table, "token_accuracy")
    return _LABEL_METRICS[metric](table["label"], table["prediction"], predicts)


def pearson_contributions(first: Array, second: Array) -> Array:
    """Return contributions to Pearson's correlation, each (examples,).

    Raises:
        ValueError: one of them is constant.
    """
    x, y = _standardised(first), _standardised(second)
    value = np.mean(x * y)
    return np.asarray(value + x * y - value * (x**2 + y**2) / 2)


def spearman_contributions(first: Array, second: Array) -> Array:
    """Return contributions to Spearman's correlation, including the effect of an example on the others' ranks."""
    first_ranks, second_ranks = _relative_ranks(first), _relative_ranks(second)
    x, y = _standardised(first_ranks), _standardised(second_ranks)
    value = np.mean(x * y)
    rank_effect = (
        _rank_influence(first, y - value * x) / first_ranks.std()
        + _rank_influence(second, x - value * y) / second_ranks.std()
    )
    return np.asarray(pearson_contributions(first_ranks, second_ranks) + rank_effect)


def _exponential(values: Array) -> Array:
    mean = float(values.mean())
    if mean > _MAX_LOSS:
        raise ValueError("the perplexity is beyond all numbers")
    return np.asarray(np.exp(mean) * (1 + values - mean))


def _standardised(values: Array) -> Array:
    sd = values.std()
    if not sd > 1e-12 * max(1.0, float(np.abs(values).max())):
        raise ValueError("all values are the same")
    return np.asarray((values - values.mean()) / sd)


def _relative_ranks(values: Array) -> Array:
    """Return for each value the fraction of values below it; ties count half."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(values))[inverse])


def _rank_influence(values: Array, weights: Array) -> Array:
    """Return for each example i the centred mean over j of weights[j] * (i is below j; ties count half).

    This is the effect of example i on the weighted mean of all relative ranks.
    """
    _, inverse = np.unique(values, return_inverse=True)
    sums = np.bincount(inverse, weights)
    above = sums.sum() - np.cumsum(sums) + sums / 2
    influence = above[inverse] / len(values)
    return np.asarray(influence - influence.mean())


def _numbers(column: pa.ChunkedArray) -> Array:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)) or column.null_count:
        raise ValueError("numbers are missing")
    values = column.to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    return np.asarray(values)


def _per_token(table: pa.Table, name: str) -> MetricRatios:
    """Return a mean over tokens; examples differ in their number of tokens."""
    values = _numbers(table[name])
    if "tokens" not in table.column_names:
        return mean_of(values)
    tokens = _numbers(table["tokens"])
    return ratio_of(values * tokens, tokens)


def _accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType) -> MetricRatios:
    if label.null_count or prediction.null_count or not label.type.equals(prediction.type):
        raise ValueError("labels or predictions are missing")
    return mean_of(pc.equal(label, prediction).to_numpy().astype(np.float64))


def _lists(column: pa.ChunkedArray) -> list[list[Any]]:
    if not pa.types.is_list(column.type) or column.null_count:
        raise ValueError("lists are missing")
    return list(column.to_pylist())


def _micro_f1(label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType) -> MetricRatios:
    if predicts != "labels":
        return _accuracy(label, prediction, predicts)  # with one label per example, micro-F1 is accuracy
    pairs = [(set(a), set(b)) for a, b in zip(_lists(label), _lists(prediction), strict=True)]
    doubled_hits = np.array([2.0 * len(a & b) for a, b in pairs])
    return ratio_of(doubled_hits, np.array([float(len(a) + len(b)) for a, b in pairs]))


def _subset_accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType) -> MetricRatios:
    pairs = zip(_lists(label), _lists(prediction), strict=True)
    return mean_of(np.array([float(set(a) == set(b)) for a, b in pairs]))


def _macro_f1(label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType) -> MetricRatios:
    if predicts != "class":
        raise ValueError("a macro-F1 of several labels is not taken apart")
    _accuracy(label, prediction, predicts)  # checks the columns
    true, predicted = np.asarray(label.to_pylist(), dtype=str), np.asarray(prediction.to_pylist(), dtype=str)
    names = np.union1d(true, predicted)
    is_true, is_predicted = true[:, None] == names, predicted[:, None] == names
    return MetricRatios(tuple(names.tolist()), 2.0 * (is_true & is_predicted), is_true.astype(float) + is_predicted)


def _columnwise(
    label: pa.ChunkedArray,
    prediction: pa.ChunkedArray,
    predicts: PredictionType,
    *,
    of: Callable[[Array, Array], Array],
) -> MetricRatios:
    """Return the mean over the targets of a regression; `of` gives the contributions for one target."""
    pairs = [
        np.array(_lists(column) if pa.types.is_list(column.type) else _numbers(column)[:, None], dtype=np.float64)
        for column in (label, prediction)
    ]
    if not all(np.isfinite(values).all() for values in pairs) or pairs[0].shape != pairs[1].shape:
        raise ValueError("a number is not finite, or missing")
    return mean_of(np.mean([of(a, b) for a, b in zip(pairs[0].T, pairs[1].T, strict=True)], axis=0))


def _token_accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType) -> MetricRatios:
    true = _lists(label)
    right = [float(sum(map(str.__eq__, a, b))) for a, b in zip(true, _lists(prediction), strict=True)]
    return ratio_of(np.array(right), np.array([float(len(tags)) for tags in true]))


def _entities(
    label: pa.ChunkedArray, prediction: pa.ChunkedArray, predicts: PredictionType, *, of: str
) -> MetricRatios:
    pairs = zip(_lists(label), _lists(prediction), strict=True)
    spans = [(_spans(tuple(true)), _spans(tuple(predicted))) for true, predicted in pairs]
    counts = np.array([(len(true & guess), len(guess), len(true)) for true, guess in spans], dtype=np.float64)
    num_correct, num_predicted, num_true = counts.T
    if of == "f1":
        return ratio_of(2 * num_correct, num_predicted + num_true)
    return ratio_of(num_correct, num_predicted if of == "precision" else num_true)


@cache  # most runs predict the same tags for most sentences
def _spans(tags: tuple[str, ...]) -> frozenset[tuple[str, int, int]]:
    from seqeval.metrics.sequence_labeling import get_entities

    return frozenset(get_entities(list(tags)))


# metrics computed from the columns label and prediction
_LABEL_METRICS: dict[str, Callable[[pa.ChunkedArray, pa.ChunkedArray, PredictionType], MetricRatios]] = {
    "accuracy": _accuracy,
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1,
    "subset_accuracy": _subset_accuracy,
    "token_accuracy": _token_accuracy,
    "f1": partial(_entities, of="f1"),
    "precision": partial(_entities, of="precision"),
    "recall": partial(_entities, of="recall"),
    "pearson": partial(_columnwise, of=pearson_contributions),
    "spearman": partial(_columnwise, of=spearman_contributions),
    "mae": partial(_columnwise, of=lambda a, b: np.abs(a - b)),
    "mse": partial(_columnwise, of=lambda a, b: np.square(a - b)),
}
