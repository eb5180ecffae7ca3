"""What each test example contributes to a metric: numbers whose mean is the metric.

Of a mean, such as accuracy, these are the examples' own values. Of other metrics they are the infinitesimal jackknife's
pseudo-values, metric plus influence of the example (Jaeckel, 1972; Efron, 1982, chapter 6), so that every metric has
one and the same analysis. That is exact to first order: good from some hundred examples on.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ftlab.compare.variance import Array

WRITTEN = ("exact_match", "rouge_1", "rouge_2", "rouge_l")  # means over the examples that were answered in writing
_LARGEST = 700.0  # nats, of which the exponential is still a number


def columns(metric: str, there: list[str]) -> list[str] | None:
    """Return the columns of predictions.parquet that give this metric; None where it cannot be had from them.

    Args:
        metric: name of a test metric.
        there: columns of the file.
    """
    tokens = ["tokens"] if "tokens" in there else []
    if metric in WRITTEN:
        wanted = [metric]
    elif metric in ("loss", "perplexity"):
        wanted = ["loss", *tokens]
    elif metric == "token_accuracy" and tokens:
        wanted = ["token_accuracy", *tokens]
    elif metric in _ANSWERED:
        wanted = ["label", "prediction"]
    else:
        return None
    return wanted if set(wanted) <= set(there) else None


def contributions(metric: str, task: str, table: pa.Table) -> Array:
    """Return each example's contribution, (examples,).

    Args:
        metric: one for which `columns` names some.
        task: the record's; a micro-F1 is another thing for one label and for several.
        table: those columns.

    Raises:
        ValueError: the columns hold something else.
    """
    if metric in WRITTEN:
        return _numbers(table[metric])
    if metric in ("loss", "perplexity"):
        losses = _per_token(table, "loss")
        return losses if metric == "loss" else _exponential(losses)
    if metric == "token_accuracy" and "tokens" in table.column_names:
        return _per_token(table, "token_accuracy")
    found = _ANSWERED[metric](table["label"], table["prediction"], task)
    return np.asarray(found, dtype=np.float64)


def ratio(parts: Array, wholes: Array) -> Array:
    """Return contributions to sum(parts) / sum(wholes), each (examples,).

    Raises:
        ValueError: the wholes add up to 0.
    """
    whole = wholes.mean()
    if not whole:
        raise ValueError("nothing there to take a share of")
    value = parts.mean() / whole
    return np.asarray(value + (parts - value * wholes) / whole)


def pearson(one: Array, other: Array) -> Array:
    """Return contributions to Pearson's correlation, each (examples,).

    Raises:
        ValueError: one of them is constant.
    """
    x, y = _standard(one), _standard(other)
    value = np.mean(x * y)
    return np.asarray(value + x * y - value * (x**2 + y**2) / 2)


def spearman(one: Array, other: Array) -> Array:
    """Return contributions to Spearman's correlation, that of the ranks; an example moves the others' ranks too."""
    shares = [_rank_shares(one), _rank_shares(other)]
    x, y = (_standard(share) for share in shares)
    value = np.mean(x * y)
    moved = _moved(one, y - value * x) / shares[0].std() + _moved(other, x - value * y) / shares[1].std()
    return np.asarray(pearson(*shares) + moved)


def _exponential(values: Array) -> Array:
    mean = float(values.mean())
    if mean > _LARGEST:
        raise ValueError("the perplexity is beyond all numbers")
    return np.asarray(np.exp(mean) * (1 + values - mean))


def _standard(values: Array) -> Array:
    spread = values.std()
    if not spread > 1e-12 * max(1.0, float(np.abs(values).max())):
        raise ValueError("all values are the same")
    return np.asarray((values - values.mean()) / spread)


def _rank_shares(values: Array) -> Array:
    """Return the share of values below each one, ties by half."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(values))[places])


def _moved(values: Array, weights: Array) -> Array:
    """Return mean_j weights[j] * (share of example i below j, ties by half), centred: what i's presence shifts."""
    _, places = np.unique(values, return_inverse=True)
    sums = np.bincount(places, weights)
    above = sums.sum() - np.cumsum(sums) + sums / 2
    found = above[places] / len(values)
    return np.asarray(found - found.mean())


def _numbers(column: pa.ChunkedArray) -> Array:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)) or column.null_count:
        raise ValueError("numbers are missing")
    values = column.to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a number is not finite")
    return np.asarray(values)


def _per_token(table: pa.Table, name: str) -> Array:
    """Return contributions to a mean over tokens, of which examples have different numbers."""
    values = _numbers(table[name])
    if "tokens" not in table.column_names:
        return values
    tokens = _numbers(table["tokens"])
    return ratio(values * tokens, tokens)


def _accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str) -> Array:
    if label.null_count or prediction.null_count or not label.type.equals(prediction.type):
        raise ValueError("labels or predictions are missing")
    return np.asarray(pc.equal(label, prediction).to_numpy().astype(np.float64))


def _lists(column: pa.ChunkedArray) -> list[list[Any]]:
    if not pa.types.is_list(column.type) or column.null_count:
        raise ValueError("lists are missing")
    return list(column.to_pylist())


def _micro_f1(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str) -> Array:
    if task != "multilabel":
        return _accuracy(label, prediction, task)  # with one label each they are the same
    pairs = [(set(a), set(b)) for a, b in zip(_lists(label), _lists(prediction), strict=True)]
    both = np.array([2.0 * len(a & b) for a, b in pairs])
    return ratio(both, np.array([float(len(a) + len(b)) for a, b in pairs]))


def _subset_accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str) -> Array:
    pairs = zip(_lists(label), _lists(prediction), strict=True)
    return np.array([float(set(a) == set(b)) for a, b in pairs])


def _macro_f1(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str) -> Array:
    if task != "classification":
        raise ValueError("a macro-F1 of several labels is not taken apart")
    _accuracy(label, prediction, task)
    true, guessed = np.asarray(label.to_pylist(), dtype=str), np.asarray(prediction.to_pylist(), dtype=str)
    of_classes = []
    for name in np.union1d(true, guessed):
        there, said = true == name, guessed == name
        of_classes.append(ratio(2.0 * (there & said), there.astype(float) + said))
    return np.asarray(np.mean(of_classes, axis=0))


def _columnwise(
    label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str, *, of: Callable[[Array, Array], Array]
) -> Array:
    """Return the mean over the targets of a regression."""
    pairs = [
        np.array(_lists(column) if pa.types.is_list(column.type) else _numbers(column)[:, None], dtype=np.float64)
        for column in (label, prediction)
    ]
    if not all(np.isfinite(values).all() for values in pairs) or pairs[0].shape != pairs[1].shape:
        raise ValueError("a number is not finite, or missing")
    return np.asarray(np.mean([of(a, b) for a, b in zip(pairs[0].T, pairs[1].T, strict=True)], axis=0))


def _token_accuracy(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str) -> Array:
    true = _lists(label)
    right = [float(sum(map(str.__eq__, a, b))) for a, b in zip(true, _lists(prediction), strict=True)]
    return ratio(np.array(right), np.array([float(len(tags)) for tags in true]))


def _entities(label: pa.ChunkedArray, prediction: pa.ChunkedArray, task: str, *, of: str) -> Array:
    pairs = zip(_lists(label), _lists(prediction), strict=True)
    found = [(_spans(tuple(true)), _spans(tuple(guessed))) for true, guessed in pairs]
    counts = np.array([(len(true & guessed), len(guessed), len(true)) for true, guessed in found], dtype=np.float64)
    right, claimed, there = counts.T
    if of == "f1":
        return ratio(2 * right, claimed + there)
    return ratio(right, claimed if of == "precision" else there)


@cache  # most sentences are tagged alike by most runs
def _spans(tags: tuple[str, ...]) -> frozenset[tuple[str, int, int]]:
    from seqeval.metrics.sequence_labeling import get_entities

    return frozenset(get_entities(list(tags)))


_ANSWERED: dict[str, Callable[[pa.ChunkedArray, pa.ChunkedArray, str], Array]] = {
    "accuracy": _accuracy,
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1,
    "subset_accuracy": _subset_accuracy,
    "token_accuracy": _token_accuracy,
    "f1": partial(_entities, of="f1"),
    "precision": partial(_entities, of="precision"),
    "recall": partial(_entities, of="recall"),
    "pearson": partial(_columnwise, of=pearson),
    "spearman": partial(_columnwise, of=spearman),
    "mae": partial(_columnwise, of=lambda a, b: np.abs(a - b)),
    "mse": partial(_columnwise, of=lambda a, b: np.square(a - b)),
}
