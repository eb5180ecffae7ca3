"""Tables for trackers: a run's predictions, a comparison's rows, and the examples on which methods disagree."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ftlab.comparison import ComparisonTables
from ftlab.comparison.tables import MEASURES, Configuration, Table
from ftlab.core.shorten import shorten_text
from ftlab.record.folder import PREDICTIONS
from ftlab.trackers.run_fields import FieldValue

MAX_PREDICTIONS = 200  # per run: the same examples for every method, so that their tables can be joined
MAX_DISAGREEMENTS = 200  # per table of the comparison
_MAX_CHARACTERS = 300  # of a text in a cell

TableData = tuple[list[str], list[list[FieldValue]]]  # headings, and the cells of each row


def predictions_table(directory: Path) -> TableData | None:
    """Return the first predictions of a run, in the order of the data; None if it saved none."""
    rows = list(islice(_saved_predictions(directory), MAX_PREDICTIONS))
    if not rows:
        return None
    headings = list(rows[0])
    return headings, [[_cell(row[name]) for name in headings] for row in rows]


def comparison_table(comparison: ComparisonTables) -> TableData:
    """Return one row per configuration: means over its seeds, and intervals and letters if there are tests."""
    rows = [_configuration_fields(table, row) for table in comparison.tables for row in table.rows]
    headings = list(dict.fromkeys(name for row in rows for name in row))
    return headings, [[row.get(name) for name in headings] for row in rows]


def disagreements_table(table: Table) -> TableData | None:
    """Return the test examples for which the predictions of a table's configurations differ, one column for each.

    Each configuration is represented by its first seed. None if there is nothing to compare, as for tasks whose
    predictions are numbers, or configurations that were tested on other examples.
    """
    predictions: dict[str, dict[str, Any]] = {}  # configuration -> example id -> prediction
    labels: dict[str, Any] = {}
    excerpts: dict[str, dict[str, Any]] = {}
    for row in table.rows:
        examples = {
            example["example_id"]: example
            for example in _saved_predictions(row.runs[0].folder)
            if isinstance(example.get("prediction"), str | list) and "label" in example
        }
        if examples:
            predictions[row.label] = {example_id: example["prediction"] for example_id, example in examples.items()}
            labels |= {example_id: example["label"] for example_id, example in examples.items()}
            excerpts |= {example_id: example for example_id, example in examples.items() if example.get("text")}
    if len(predictions) < 2:
        return None
    shared_ids = [example_id for example_id in labels if all(example_id in by_id for by_id in predictions.values())]
    rows: list[list[FieldValue]] = []
    for example_id in shared_ids:
        cells = [_cell(by_id[example_id]) for by_id in predictions.values()]
        if len(set(cells)) > 1:
            label = _cell(labels[example_id])
            right = sum(cell == label for cell in cells)
            excerpt = excerpts.get(example_id, {})
            rows.append(
                [table.title, example_id, excerpt.get("where"), _cell(excerpt.get("text")), label, right, *cells]
            )
    # examples on which the methods are divided most evenly come first
    rows.sort(key=lambda row: abs(2 * int(row[5] or 0) - len(predictions)))
    return ["table", "example_id", "where", "text", "label", "right", *predictions], rows[:MAX_DISAGREEMENTS]


def _configuration_fields(table: Table, row: Configuration) -> dict[str, FieldValue]:
    first = row.runs[0].record
    fields: dict[str, FieldValue] = {
        "dataset": table.dataset,
        "base_model": table.model,
        "method": row.method,
        "settings": row.label_suffix,
        "seeds": len(row.runs),
    }
    for column in table.columns:
        value = row.test(column.metric)
        fields[f"test/{column.metric}"] = value.mean if value else None
        fields[f"test/{column.metric} sd"] = value.sd if value else None
    if family := table.family:
        name, label = f"test/{family.column.metric}", row.label
        interval = family.intervals.get(label)
        contrast, within = family.contrast_of(label), family.within_margin
        statement = within.of(label) if within else None
        fields |= {
            f"{name} low": interval.low if interval else None,
            f"{name} high": interval.high if interval else None,
            "reference": family.reference,
            "against reference": family.outcome_of(label),
            "within margin": statement.verdict if statement else None,
            "margin": within.margin if within else None,
            "difference": contrast.difference if contrast else None,
            "adjusted p": contrast.adjusted if contrast else None,
            "about": contrast.scope if contrast else None,
        }
    if first.parameters and first.parameters.total:
        fields["trainable_params"] = first.parameters.trainable
        fields["trainable_share"] = first.parameters.trainable / first.parameters.total
    for name in ("train_s", "examples_per_s", "peak_memory_bytes", "adapter_bytes"):
        cost = row.over_seeds(MEASURES[name])
        fields[name] = cost.mean if cost else None
    fields["warnings"] = "; ".join(table.warnings[mark - 1] for mark in row.marks)
    return fields


def _saved_predictions(directory: Path) -> Iterator[dict[str, Any]]:
    path = directory / PREDICTIONS
    if path.exists():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()


def _cell(value: Any) -> FieldValue:
    """Return a value for a table's cell: lists as JSON with rounded numbers, long texts shortened."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = json.dumps([round(v, 4) if isinstance(v, float) else v for v in value], ensure_ascii=False)
    if isinstance(value, str):
        return shorten_text(value, _MAX_CHARACTERS)
    return value if isinstance(value, int | float | None) else str(value)
