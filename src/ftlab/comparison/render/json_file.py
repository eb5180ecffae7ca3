"""JSON file of a comparison, for programs: tables, rows, values, intervals, contrasts (see docs/comparison.md)."""

import json
import os
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from ftlab.comparison.collapse import collapsed_runs
from ftlab.comparison.render.findings import findings
from ftlab.comparison.render.robustness_table import (
    adapter_off_status,
    fit_verdict,
    general_loss,
    outcome_counts,
    perturbation_drop,
)
from ftlab.comparison.reproduce import reproduce_command
from ftlab.comparison.stats.estimate import estimate
from ftlab.comparison.stats.inference import Family, Interval
from ftlab.comparison.tables import MEASURES, Baseline, ComparedRun, ComparisonTables, Configuration, Table
from ftlab.record import PERTURBATIONS

SCHEMA = "ftlab-comparison"
VERSION = 2  # raised when a field is removed or changes its meaning, but not for a new field


def json_text(comparison: ComparisonTables, directory: Path) -> str:
    """Return the text of comparison.json, in base units (seconds, bytes, fractions).

    Args:
        comparison: to write.
        directory: of the file; run folders are given relative to it.
    """
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "notices": list(comparison.notices),
        "tables": [_table(table, directory) for table in comparison.tables],
    }
    return json.dumps(finite_values(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _table(table: Table, directory: Path) -> dict[str, Any]:
    return {
        "dataset": table.dataset,
        "model": table.model,
        "metrics": [column.model_dump() for column in table.columns],
        "summary": findings(table),
        "warnings": list(table.warnings),
        "rows": [_row(row, table, directory) for row in table.rows],
        "without_result": [_run(run, directory) | {"outcome": run.outcome} for run in table.unfinished],
        "superseded": [_run(run, directory) for run in table.superseded],
        "family": _family(table.family),
        "baseline": _baseline(table.baseline),
        "collapsed": [asdict(collapse) for collapse in collapsed_runs(table).values()],
    }


def _row(row: Configuration, table: Table, directory: Path) -> dict[str, Any]:
    """Return one configuration: means over the seeds, and the values of each seed."""
    values = {column.metric: [run.test(column.metric) for run in row.runs] for column in table.columns}
    measures = values | {name: [measure(run) for run in row.runs] for name, measure in MEASURES.items()}
    family = table.family
    return {
        "row": row.label,
        "method": row.method,
        "settings": row.label_suffix,
        "warnings": list(row.marks),
        "seeds": [run.record.seed for run in row.runs],
        "values": {name: _mean_and_seeds(seeds) for name, seeds in measures.items()},
        "robustness": {
            "drop": {
                name: _mean_and_seeds([perturbation_drop(run, name) for run in row.runs]) for name in PERTURBATIONS
            },
            "general_loss_before": _mean_and_seeds([general_loss(run, "before") for run in row.runs]),
            "general_loss_after": _mean_and_seeds([general_loss(run, "after") for run in row.runs]),
            "fit": outcome_counts(row, fit_verdict),
            "adapter_off": outcome_counts(row, adapter_off_status),
        },
        "interval": _interval(family.intervals.get(row.label)) if family else None,
        "against_reference": family.outcome_of(row.label) if family else None,
        "within_margin": _margin_statement(family, row.label),
        "command": reproduce_command(row),
        "runs": [_run(run, directory) for run in row.runs],
    }


def _mean_and_seeds(seeds: list[float | None]) -> dict[str, Any] | None:
    summary = estimate(seeds)
    return None if summary is None else {"mean": summary.mean, "sd": summary.sd, "n": summary.n, "by_seed": seeds}


def _run(run: ComparedRun, directory: Path) -> dict[str, Any]:
    record = run.record
    return {
        "folder": Path(os.path.relpath(run.folder, directory)).as_posix(),
        "run_id": record.run_id,
        "row": run.label,
        "seed": record.seed,
        "status": record.status,
        "sweep": record.sweep,
        "config_hash": record.config_hash,
        "fingerprint": record.fingerprint,
        "data_hash": record.data.hash if record.data else None,
        "base_sha256": record.base_model.get("sha256") if record.base_model else None,
        "versions": record.versions,
        "training_plan": record.training_plan.model_dump() if record.training_plan else None,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
    }


def _family(family: Family | None) -> dict[str, Any] | None:
    if family is None:
        return None
    return {
        "reference": family.reference,
        "metric": family.column.metric,
        "alpha": family.alpha,
        "contrasts": [
            asdict(contrast) | {"different": contrast.is_significant(family.alpha)} for contrast in family.contrasts
        ],
        "num_tests": family.num_tests,
        "notes": list(family.notes),
        "margin": None
        if (within := family.within_margin) is None
        else {"value": within.margin, "reference": within.reference, "declared": within.is_declared},
    }


def _margin_statement(family: Family | None, label: str) -> dict[str, Any] | None:
    statement = family.within_margin.of(label) if family and family.within_margin else None
    return None if statement is None else asdict(statement)


def _baseline(baseline: Baseline | None) -> dict[str, Any] | None:
    if baseline is None:
        return None
    return {"answer": baseline.answer, "metric": baseline.column.metric, "value": baseline.value}


def _interval(interval: Interval | None) -> dict[str, Any] | None:
    return None if interval is None else asdict(interval)


def finite_values(value: Any) -> Any:
    """Return the value with None for every NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_values(item) for item in value]
    return value
