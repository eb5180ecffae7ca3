"""Sentence on what a row costs that was not told apart from another: the parameters and the time that it trains."""

from collections.abc import Sequence

from ftlab.comparison.comparability import condition_differences
from ftlab.comparison.formats import format_percent
from ftlab.comparison.tables import Configuration, Table


def cost_sentence(table: Table, labels: Sequence[str], reference: str) -> str:
    """Return a sentence on the cost of the row with the fewest trainable parameters; empty if none has fewer.

    Times are told as an interval over seeds, and only if no comparability warning concerns the two rows: times of
    different devices cannot be compared.

    Args:
        table: the table.
        labels: rows that were not told apart from the reference.
        reference: label of the reference.
    """
    rows = {row.label: row for row in table.rows if row.runs[0].trainable is not None}
    others = [rows[label] for label in labels if label in rows]
    if reference not in rows or not others:
        return ""
    base, by_size = rows[reference], sorted(others, key=_trainable)
    small, large = (by_size[0], base) if _trainable(by_size[0]) < _trainable(base) else (base, by_size[-1])
    parameters = small.runs[0].record.parameters
    if parameters is None or not parameters.total or _trainable(small) >= _trainable(large):
        return ""
    share = format_percent(parameters.trainable, parameters.total)
    return f"{small.label} trains {share} of the parameters{_time(small, large)}."


def _time(small: Configuration, large: Configuration) -> str:
    """Return the rest of the sentence, on training time; empty if nothing can be said of it."""
    # import numpy, as the tests already have
    from ftlab.comparison.hypothesis_tests import LEVEL
    from ftlab.comparison.time_ratio import time_ratio

    ratio = time_ratio(small, large, LEVEL)
    if ratio is None or condition_differences([(row.label, row.runs) for row in (small, large)])[0]:
        return ""
    value = f"{ratio.ratio:.2g} [{ratio.low:.2g}, {ratio.high:.2g}]"
    measured = f"{ratio.measure}; {ratio.seeds} paired seeds"
    if not ratio.is_different:
        return f"; its training time was not found to differ from {large.label}'s ({value} of it; {measured})"
    return f" in {value} {'of' if ratio.ratio < 1 else 'times'} {large.label}'s training time ({measured})"


def _trainable(row: Configuration) -> float:
    return row.runs[0].trainable or 0.0
