"""Terminal output of a repetition: what differs, the test metrics then and now, and the verdict."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ftlab.comparison.formats import MISSING, printable
from ftlab.comparison.repetition import Difference, MetricPair, Repetition

_MAX_CHARACTERS = 40  # of a value


def repetition_tables(repetition: Repetition) -> Group:
    """Return tables and verdict as one renderable for `rich.print`."""
    groups = {
        "setting": repetition.settings,
        "identity": repetition.identity,
        "version": repetition.versions,
        "hardware": repetition.hardware,
    }
    parts: list[RenderableType] = [
        _table(heading, [_difference_row(difference) for difference in differences])
        for heading, differences in groups.items()
        if differences
    ]
    if not parts:
        parts.append(Text("Settings, data, base model, versions and hardware are the same, as far as they are known."))
    if all(status == "completed" for status in repetition.statuses) and repetition.metrics:
        parts.append(_table("test metric", [_metric_row(pair) for pair in repetition.metrics], "difference"))
    style = "green" if repetition.agrees else "yellow"
    return Group(*parts, Text(repetition.verdict, style=style))


def _table(heading: str, rows: list[tuple[str, ...]], *more: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (heading, "then", "now", *more):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _difference_row(difference: Difference) -> tuple[str, ...]:
    return printable(difference.name), _value(difference.then), _value(difference.now)


def _metric_row(pair: MetricPair) -> tuple[str, ...]:
    change = "equal" if pair.equal else MISSING if pair.difference is None else f"{pair.difference:+.3g}"
    return printable(pair.name), _number(pair.then), _number(pair.now), change


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.6g}"


def _value(value: Any) -> str:
    text = MISSING if value is None else printable(str(value))
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
