"""Tests of a table and single predictions made by hand: what the pictures show must not hang on the statistics."""

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ftlab.comparison.stats.estimate import estimate
from ftlab.comparison.stats.inference import (
    Contrast,
    Family,
    InferenceScope,
    Interval,
    MarginStatement,
    MarginStatements,
    MarginVerdict,
)
from ftlab.comparison.tables import ComparisonTables, Configuration, Table
from ftlab.record import find_records

CLASSES = ["business", "entertainment", "politics", "sport", "tech"]


def family(table: Table, *, alike: float = 0.02, scope: InferenceScope = "methods") -> Family:
    """Return tests of the table's first column against `full`: rows nearer than `alike` are not told apart."""
    column = table.columns[0]
    means = {row.label: mean for row in table.rows if (mean := _mean(row, column.metric)) is not None}
    reference = "full" if "full" in means else next(iter(means))
    contrasts = []
    for label, mean in means.items():
        if label == reference:
            continue
        difference = mean - means[reference]
        p = 0.41 if abs(difference) < alike else 0.0004
        contrasts.append(
            Contrast(
                row=label,
                reference=reference,
                difference=difference,
                interval=Interval(difference - 0.012, difference + 0.012, 0.95, "bootstrap over 334 examples"),
                p=p / 2,
                adjusted=p,
                test="paired randomisation",
                effect=difference / 0.01,
                effect_name="Cohen's d_z",
                seeds=3 if scope == "methods" else 1,
                examples=334,
                scope=scope,
                detectable=0.014,
            )
        )
    return Family(
        reference=reference,
        column=column,
        alpha=0.05,
        contrasts=tuple(contrasts),
        intervals={
            label: Interval(mean - 0.013, mean + 0.013, 0.95, "t over 3 seeds") for label, mean in means.items()
        },
        within_margin=MarginStatements(
            margin=0.01,
            reference=None,
            is_declared=True,
            statements=tuple(
                margin_statement(label, max(means.values()) - mean, alike, scope) for label, mean in means.items()
            ),
        ),
        num_tests=len(contrasts),
    )


def margin_statement(row: str, behind: float, alike: float, scope: InferenceScope = "methods") -> MarginStatement:
    """Return a statement: rows at the top are as good, those nearer than `alike` open, others worse by more."""
    verdict: MarginVerdict = "as good" if behind <= 0 else "open" if behind < alike else "worse by more"
    seeds = 9 if verdict == "open" else None
    return MarginStatement(row, verdict, behind, behind - 0.009, behind + 0.009, behind > 0.009, seeds, None, scope)


def _mean(row: Configuration, metric: str) -> float | None:
    found = estimate([run.test(metric) for run in row.runs])
    return None if found is None else found.mean


def with_tests(comparison: ComparisonTables, scope: InferenceScope = "methods") -> ComparisonTables:
    """Return the comparison with such tests in each table that has two rows."""
    tables = (
        replace(table, family=family(table, scope=scope) if len(table.rows) > 1 else None)
        for table in comparison.tables
    )
    return replace(comparison, tables=tuple(tables))


def untested(comparison: ComparisonTables) -> ComparisonTables:
    """Return the comparison without any test."""
    return replace(comparison, tables=tuple(replace(table, family=None) for table in comparison.tables))


def add_predictions(sweep: Path, examples: int = 334, labels: list[str] | None = None, text: bool = False) -> None:
    """Write predictions.parquet to every completed run below the folder, right as often as its accuracy says."""
    names = labels or CLASSES
    dice = random.Random(0)
    hardness = [dice.random() for _ in range(examples)]
    truth = [dice.choice(names) for _ in range(examples)]
    for folder, record in find_records(sweep):
        if record.status != "completed":
            continue
        accuracy = record.metrics["classification"]["test"]["accuracy"].value or 0.0
        own = random.Random(f"{record.method} {record.seed}")
        rows = []
        for index, (label, hard) in enumerate(zip(truth, hardness, strict=True)):
            right = hard + own.gauss(0, 0.05) < accuracy
            row = {"task": "classification", "split": "test", "example_id": f"{index:016x}", "label": label}
            if text:
                row["text"] = f"<b>text</b> {index} of {label}"
            rows.append(row | {"prediction": label if right else own.choice(names), "loss": 1 - accuracy})
        pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")
