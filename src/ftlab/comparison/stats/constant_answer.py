"""The best constant answer to the test examples: what a model that ignores its input can reach on a metric."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ftlab.comparison.stats.contributions import contributions
from ftlab.record import PredictionType

# What a prediction is -> metrics of which the best constant answer is known. Correlations have none, and of F1 over
# several labels or entities it would be no answer that a model falls back on.
_METRICS: dict[PredictionType, tuple[str, ...]] = {
    "class": ("accuracy", "macro_f1", "micro_f1"),
    "labels": ("subset_accuracy",),
    "numbers": ("mae", "mse"),
}


def has_best_constant(metric: str, predicts: PredictionType) -> bool:
    """Return whether a constant answer has a clear meaning for this metric."""
    return metric in _METRICS.get(predicts, ())


def best_constant(metric: str, predicts: PredictionType, labels: pa.ChunkedArray) -> tuple[str, float]:
    """Return the best constant answer in words, and its metric.

    It is chosen on the very examples that it is scored on, so no constant answer that was learned can be better.

    Args:
        metric: one with `has_best_constant`.
        predicts: the record's.
        labels: of the test examples, (examples,).

    Raises:
        ValueError: a label is missing, or is of another kind.
    """
    if labels.null_count:
        raise ValueError("labels are missing")
    values = labels.to_pylist()
    if predicts == "numbers":
        text, answer = _middle(metric, values)
    else:
        text, answer = _most_frequent(values)
    column = pa.chunked_array([pa.array([answer] * len(values), labels.type)])
    table = pa.table({"label": labels, "prediction": column})
    return text, float(contributions(metric, predicts, table).mean())


def _most_frequent(values: Sequence[Any]) -> tuple[str, Any]:
    """Return the most frequent label, or list of labels in any order; of equally frequent ones the first by name."""
    counts = Counter(tuple(sorted(value)) if isinstance(value, list) else value for value in values)
    answer, _ = min(counts.items(), key=lambda item: (-item[1], item[0]))
    if isinstance(answer, tuple):
        return ", ".join(answer) or "no label", list(answer)
    return str(answer), answer


def _middle(metric: str, values: Sequence[Any]) -> tuple[str, Any]:
    """Return the number, or the number of each target, that has the smallest error: the median or the mean."""
    name, middle = ("median", np.median) if metric == "mae" else ("mean", np.mean)
    answer = middle(np.array(values, dtype=np.float64), axis=0)
    if answer.ndim:
        return f"the {name} of each target", answer.tolist()
    return f"the {name} {float(answer):.3g}", float(answer)
