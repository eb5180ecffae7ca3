"""Sentences on the best constant answer of a table, on the rows that are not above it, and on collapsed runs."""

from ftlab.comparison.collapse import collapsed_runs
from ftlab.comparison.formats import MAX_NAMES, metric_scale, name_some
from ftlab.comparison.tables import Baseline, Table


def format_baseline(baseline: Baseline) -> str:
    """Return the metric of the best constant answer."""
    return f"{baseline.value:.{metric_scale([baseline.value]).decimals}f}"


def baseline_sentence(table: Table) -> str:
    """Return a sentence that names the rows not shown to be better than the best constant answer; empty without one.

    A row is shown to be better if the nearer end of its interval is, so a row without an interval is not.
    """
    if table.family is None or table.baseline is None or table.baseline.column != table.family.column:
        return ""
    column, intervals, value = table.family.column, table.family.intervals, table.baseline.value
    rows = [row.label for row in table.rows if row.test(column.metric) is not None]
    better = [
        label
        for label in rows
        if (interval := intervals.get(label)) is not None
        and (interval.low > value if column.higher_is_better else interval.high < value)
    ]
    side = "above" if column.higher_is_better else "below"
    constant = f"{side} always answering {table.baseline.answer} ({format_baseline(table.baseline)})"
    if not better and rows:
        return f"No row is shown to be {constant} in test {column.label}."
    if others := [label for label in rows if label not in better]:
        return f"Not shown to be {constant} in test {column.label}: {name_some(others)}."
    return ""


def baseline_notes(table: Table) -> list[str]:
    """Return sentences for the caption, on the best constant answer and on collapsed runs."""
    sentences = []
    if (baseline := table.baseline) is not None:
        sentences.append(
            f"Always answering {baseline.answer} gives test {baseline.column.label} {format_baseline(baseline)}, the "
            "best that a constant answer can do: it is chosen on the test labels."
        )
    collapses = list(collapsed_runs(table).values())
    sentences += [f"{collapse}." for collapse in collapses[:MAX_NAMES]]
    if more := [collapse.row for collapse in collapses[MAX_NAMES:]]:
        sentences.append(f"Runs of {name_some(more)} collapsed too.")
    return sentences
