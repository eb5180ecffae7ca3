"""CSV file of a comparison: one row per run, raw numbers in base units, the unit in the heading."""

import csv
import io
import os
from pathlib import Path

from ftlab.comparison.tables import ComparedRun, ComparisonTables
from ftlab.record import PERTURBATIONS, RunRecord

CsvValue = str | int | float | None


def csv_text(comparison: ComparisonTables, directory: Path) -> str:
    """Return the text of comparison.csv.

    Args:
        comparison: to write.
        directory: of the file; run folders are given relative to it.
    """
    rows = run_rows(comparison, directory)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    return stream.getvalue()


def run_rows(comparison: ComparisonTables, directory: Path) -> list[dict[str, CsvValue]]:
    """Return column -> value of each run, in the order of `ComparisonTables.runs`.

    Args:
        comparison: of the runs.
        directory: to which the runs' folders are given.
    """
    metrics = list(dict.fromkeys(column.metric for table in comparison.tables for column in table.columns))
    return [_row(run, metrics, directory) for run in comparison.runs]


def _row(run: ComparedRun, metrics: list[str], directory: Path) -> dict[str, CsvValue]:
    record = run.record
    cost, parameters, hardware, data = record.cost, record.parameters, record.hardware, record.data
    test_metrics = (record.test_metric(metric) for metric in metrics)
    first_metric = next((metric for metric in test_metrics if metric is not None), None)
    failure, predicted = record.failure, record.predicted
    latency = cost.latency if cost else None
    return {
        "dataset": record.dataset,
        "model": record.model,
        "method": record.method,
        "configuration": run.label,
        "seed": record.seed,
        "status": record.status,
        **{f"test_{metric}": run.test(metric) for metric in metrics},
        "test_n": first_metric.n if first_metric else None,
        **_robustness(record),
        "trainable_parameters": parameters.trainable if parameters else None,
        "total_parameters": parameters.total if parameters else None,
        "adapter_bytes": parameters.adapter_bytes if parameters else None,
        "setup_s": cost.setup_s if cost else None,
        "train_s": cost.train_s if cost else None,
        "tuning_s": run.tuning_s,
        "eval_s": cost.eval_s if cost else None,
        "optimizer_steps": cost.optimizer_steps if cost else None,
        "examples_seen": cost.examples_seen if cost else None,
        "tokens_seen": cost.tokens_seen if cost else None,
        "examples_per_s": cost.examples_per_s if cost else None,
        "tokens_per_s": cost.tokens_per_s if cost else None,
        "peak_memory_bytes": cost.peak_memory_bytes if cost else None,
        "baseline_memory_bytes": cost.baseline_memory_bytes if cost else None,
        "base_weight_bytes": cost.base_weight_bytes if cost else None,
        "train_cpu_s": cost.train_cpu_s if cost else None,
        "training_flops": cost.training_flops if cost else None,
        "energy_joules": cost.energy_joules if cost else None,
        "latency_single_example_s": latency.single_example_s if latency else None,
        "latency_batched_s": latency.batched_s if latency else None,
        "latency_merged_single_example_s": latency.merged_single_example_s if latency else None,
        "latency_merged_batched_s": latency.merged_batched_s if latency else None,
        "predicted_train_s": predicted.train_s if predicted else None,
        "predicted_peak_memory_bytes": predicted.memory_bytes.peak if predicted else None,
        "predicted_time_error": run.time_error,
        "predicted_memory_error": run.memory_error,
        "device": hardware.device if hardware else None,
        "devices": hardware.devices if hardware else None,
        "precision": hardware.precision if hardware else None,
        "data_hash": data.hash if data else None,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "failed_at_step": failure.step if failure else None,
        "error": f"{failure.type}: {failure.message}" if failure else None,
        "run": Path(os.path.relpath(run.folder, directory)).as_posix(),
    }


def _robustness(record: RunRecord) -> dict[str, CsvValue]:
    """Return the columns of the robustness tests: drops of the first headline metric, forgetting and overfitting."""
    robustness = record.robustness
    metric = record.columns[0].metric if record.columns else None
    drops: dict[str, float | None] = {}
    if robustness and metric:
        drops = {name: perturbed.drop.get(metric) for name, perturbed in robustness.perturbations.items()}
    forgetting, fit = (robustness.forgetting, robustness.fit) if robustness else (None, None)
    return {
        **{f"drop_{name}": drops.get(name) for name in PERTURBATIONS},
        "general_loss_before": forgetting.before["loss"].value if forgetting else None,
        "general_loss_after": forgetting.after["loss"].value if forgetting else None,
        "fit_train_loss": fit.train if fit else None,
        "fit_val_loss": fit.val if fit else None,
        "fit": fit.verdict if fit else None,
    }


def _safe(value: CsvValue) -> CsvValue:
    """Keep a spreadsheet from running text as a formula: a name or an error may begin with `=`."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
