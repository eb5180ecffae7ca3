"""Statements within a margin as a column, as sentences and as a chart."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ftlab.comparison.formats import name_some
from ftlab.comparison.stats.inference import MarginStatement, MarginStatements
from ftlab.comparison.tables import Table


def margin_heading(within: MarginStatements, names: Mapping[str, str]) -> str:
    """Return the heading of the column.

    Args:
        within: the statements.
        names: label of a row -> its name in tables.
    """
    return f"within {within.margin:g} of {_target(within, names)}"


def margin_text(within: MarginStatements, label: str) -> str | None:
    """Return a row's cell; None if nothing is said about it."""
    if label == within.reference:
        return "reference"
    statement = within.of(label)
    if statement is None:
        return None
    return "open (worse)" if statement.verdict == "open" and statement.is_worse else statement.verdict


def margin_sentences(within: MarginStatements | None, metric: str, names: Mapping[str, str]) -> list[str]:
    """Return the statements as sentences; empty without a margin.

    Args:
        within: the statements.
        metric: name of the metric in words, such as `test accuracy`.
        names: label of a row -> its name in tables.
    """
    if within is None or not within.any_tested:
        return []
    target, margin = _target(within, names), f"{within.margin:g} of {metric}"
    by_verdict: dict[str, list[MarginStatement]] = {}
    for statement in within.statements:
        by_verdict.setdefault(statement.verdict, []).append(statement)
    sentences = []
    if as_good := by_verdict.get("as good"):
        sentences.append(f"As good as {target} within {margin}: {_names(as_good, names)}.")
    if worse := by_verdict.get("worse by more"):
        sentences.append(f"Worse than {target} by more than {margin}: {_names(worse, names)}.")
    if still_open := by_verdict.get("open"):
        rows = [f"{names[statement.row]} ({statement.what_would_decide})" for statement in still_open]
        lead = f"Open within {margin} of {target}" if not sentences else "Open"
        sentences.append(f"{lead}: {name_some(rows)}.")
    if not within.is_declared:
        sentences.append("The margin was chosen afterwards; to declare it before the first run: compare.margin.")
    return sentences


def margin_chart_data(table: Table, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the data of the chart; None if nothing could be tested within a margin.

    Args:
        table: with its tests.
        names: label of a row -> its name in tables.
    """
    within = table.family.within_margin if table.family else None
    if table.family is None or within is None or not within.any_tested:
        return None
    methods = {row.label: row.method for row in table.rows}
    return {
        "margin": within.margin,
        "target": _target(within, names),
        "metric": f"test {table.family.column.label}",
        "statements": [
            {
                "label": names[statement.row],
                "method": methods[statement.row],
                "behind": statement.behind,
                "low": statement.low,
                "high": statement.high,
                "verdict": statement.verdict,
                "needs": statement.what_would_decide if statement.verdict == "open" else "",
                "scope": statement.scope,
            }
            for statement in within.statements
            if statement.row in methods and isfinite(statement.behind)
        ],
    }


def _target(within: MarginStatements, names: Mapping[str, str]) -> str:
    return "the best" if within.reference is None else names[within.reference]


def _names(statements: Sequence[MarginStatement], names: Mapping[str, str]) -> str:
    return name_some([names[statement.row] for statement in statements])
