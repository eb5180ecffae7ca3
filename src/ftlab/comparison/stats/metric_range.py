"""Ranges of the metrics, which a true difference or a confidence interval cannot leave."""

from math import inf

_SHARES = (0.0, 1.0)
_CORRELATIONS = (-1.0, 1.0)
_PERCENTAGES = (0.0, 100.0)
_ERRORS = (0.0, inf)

_RANGES = {
    "accuracy": _SHARES,
    "auroc": _SHARES,
    "bits_per_byte": _ERRORS,
    "bleu": _PERCENTAGES,  # as sacrebleu has it
    "brier": (0.0, 2.0),  # summed over the classes
    "calibration_error": _SHARES,
    "chrf": _PERCENTAGES,
    "exact_match": _SHARES,
    "f1": _SHARES,
    "loss": _ERRORS,
    "macro_f1": _SHARES,
    "macro_precision": _SHARES,
    "macro_recall": _SHARES,
    "mae": _ERRORS,
    "mcc": _CORRELATIONS,
    "micro_f1": _SHARES,
    "micro_precision": _SHARES,
    "micro_recall": _SHARES,
    "mse": _ERRORS,
    "pearson": _CORRELATIONS,
    "perplexity": (1.0, inf),
    "precision": _SHARES,
    "recall": _SHARES,
    "rouge_1": _SHARES,
    "rouge_2": _SHARES,
    "rouge_l": _SHARES,
    "spearman": _CORRELATIONS,
    "subset_accuracy": _SHARES,
    "token_accuracy": _SHARES,
}
_PER_TARGET = ("mae", "mse", "pearson", "spearman")  # a regression with several targets adds the target's name


def metric_range(metric: str) -> tuple[float, float] | None:
    """Return the lowest and the highest value that a metric can have, infinity included.

    Args:
        metric: name of a test metric; a part of a mixture is named before a slash, as in `topics/accuracy`.

    Returns:
        None for a metric that is not ours, such as that of a user's own task kind.
    """
    name = metric.rpartition("/")[2]
    if name not in _RANGES:
        name = next((prefix for prefix in _PER_TARGET if name.startswith(f"{prefix}_")), name)
    return _RANGES.get(name)


def largest_difference(metric: str) -> float:
    """Return the largest difference that two values of a metric can have; infinity if there is no limit."""
    low, high = metric_range(metric) or (-inf, inf)
    return high - low
