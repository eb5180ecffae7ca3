"""Rows for trackers' tables, bounded, from the files that runs leave: predictions, and where methods disagree."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ftlab.compare import Comparison
from ftlab.compare.comparison import Configuration, Table
from ftlab.compare.stats import estimate
from ftlab.record.folder import PREDICTIONS
from ftlab.trackers.facts import Value

MOST_PREDICTIONS = 200  # of a run: the same examples for every method, so that their tables join
MOST_DISAGREEMENTS = 200  # of a table of the comparison
_LONGEST = 300  # characters of a text

Rows = tuple[list[str], list[list[Value]]]  # headings, and the cells of each row


def predictions(directory: Path) -> Rows | None:
    """Return the first predictions of a run, in the data's order; None where it left none."""
    rows = list(islice(_saved(directory), MOST_PREDICTIONS))
    if not rows:
        return None
    headings = list(rows[0])
    return headings, [[_cell(row[name]) for name in headings] for row in rows]


def compared(comparison: Comparison) -> Rows:
    """Return one row per configuration: means over its seeds, intervals and letters where the tests gave them."""
    rows = [_configuration(table, row) for table in comparison.tables for row in table.rows]
    headings = list(dict.fromkeys(name for row in rows for name in row))
    return headings, [[row.get(name) for name in headings] for row in rows]


def disagreements(table: Table) -> Rows | None:
    """Return the test examples that not all configurations of a table answer alike, a column for each.

    Each is heard with its first seed. None where there is nothing to hold side by side, such as for tasks whose
    predictions are numbers, or configurations that met other examples.
    """
    answers: dict[str, dict[str, Any]] = {}
    labels: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for row in table.rows:
        said = {
            one["example_id"]: one
            for one in _saved(row.runs[0].folder)
            if isinstance(one.get("prediction"), str | list) and "label" in one
        }
        if said:
            answers[row.label] = {example: one["prediction"] for example, one in said.items()}
            labels |= {example: one["label"] for example, one in said.items()}
            texts |= {example: one["text"] for example, one in said.items() if "text" in one}
    if len(answers) < 2:
        return None
    shared = [example for example in labels if all(example in said for said in answers.values())]
    rows: list[list[Value]] = []
    for example in shared:
        said_here = [_cell(said[example]) for said in answers.values()]
        if len(set(said_here)) > 1:
            label = _cell(labels[example])
            right = sum(answer == label for answer in said_here)
            rows.append([table.title, example, texts.get(example), label, right, *said_here])
    # those first that divide the methods most evenly
    rows.sort(key=lambda row: abs(2 * int(row[4] or 0) - len(answers)))
    return ["table", "example_id", "text", "label", "right", *answers], rows[:MOST_DISAGREEMENTS]


def _configuration(table: Table, row: Configuration) -> dict[str, Value]:
    first = row.runs[0].record
    found: dict[str, Value] = {
        "dataset": table.dataset,
        "base_model": table.model,
        "method": row.method,
        "settings": row.settings,
        "seeds": len(row.runs),
    }
    for column in table.columns:
        value = estimate([run.test(column.metric) for run in row.runs])
        found[f"test/{column.metric}"] = value.mean if value else None
        found[f"test/{column.metric} sd"] = value.sd if value else None
    if family := table.family:
        name, label = f"test/{family.column.metric}", row.label
        interval = family.intervals.get(label)
        contrast = next((one for one in family.contrasts if one.row == label), None)
        found |= {
            f"{name} low": interval.low if interval else None,
            f"{name} high": interval.high if interval else None,
            "letters": family.letters.get(label),
            "reference": family.reference,
            "difference": contrast.difference if contrast else None,
            "adjusted p": contrast.adjusted if contrast else None,
            "about": contrast.scope if contrast else None,
        }
    if first.parameters and first.parameters.total:
        found["trainable_params"] = first.parameters.trainable
        found["trainable_share"] = first.parameters.trainable / first.parameters.total
    for name in ("train_s", "examples_per_s", "peak_memory_bytes", "adapter_bytes"):
        cost = estimate([getattr(run, name) for run in row.runs])
        found[name] = cost.mean if cost else None
    found["warnings"] = "; ".join(table.warnings[mark - 1] for mark in row.marks)
    return found


def _saved(directory: Path) -> Iterator[dict[str, Any]]:
    path = directory / PREDICTIONS
    if path.exists():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()


def _cell(value: Any) -> Value:
    """Return a value as a table shows it: lists as JSON, numbers in them rounded, long texts cut."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = json.dumps([round(v, 4) if isinstance(v, float) else v for v in value], ensure_ascii=False)
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[: _LONGEST - 1] + "…"
    return value if isinstance(value, str | int | float | None) else str(value)
