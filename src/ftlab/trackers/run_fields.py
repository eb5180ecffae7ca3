"""Fields of a run for trackers: flat names and plain values, by which a tracker can group, filter and colour runs."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ftlab.config.run_config import RunConfig
from ftlab.record import RunRecord

FieldValue = str | int | float | bool | None

# settings that a tracker shows first where it has a choice, as in TensorBoard's table and W&B's parallel coordinates
MAIN_SETTINGS = ("method", "lr", "seed", "dataset", "base_model")
# group of results of one point: in a tracker's alphabetical order it stands after the curves in `train` and `val`
VALUES = "values"
_MAIN_COSTS = ("cost/train_s", "cost/peak_memory_bytes", "parameters/adapter_bytes", "parameters/trainable_share")
_CURVE_NAMES = {"epoch": "train/epoch", "cost/train_s": "train/seconds"}


def curve_points(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return what a tracker draws of one logged row, all in the groups `train` and `val`; nothing of the test's row.

    The test's metrics are results of one point, which `finish` of the tracker gets with the record.
    """
    if any(name.startswith("test/") for name in metrics):
        return {}
    return {_CURVE_NAMES.get(name, name): value for name, value in metrics.items()}


def run_name(record: RunRecord) -> str:
    """Return the run's name in a tracker's list of runs."""
    role = "" if record.role == "run" else f"{record.role}-"
    return f"{role}{record.method}-{Path(record.model).name}-s{record.seed}"  # a model may be a folder


def run_key(record: RunRecord) -> str:
    """Return 16 hex digits that all attempts of a run share, and that differ for a run of the same name elsewhere."""
    return hashlib.sha256(f"{record.run_id} {record.started_at}".encode()).hexdigest()[:16]


def config_fields(config: RunConfig, record: RunRecord) -> dict[str, FieldValue]:
    """Return the fields that are known when a run starts: its configuration and the library versions."""
    return {
        "method": record.method,
        "role": record.role,
        "base_model": record.model,
        "dataset": record.dataset,
        "task": record.task,
        "seed": record.seed,
        "sweep": record.sweep,
        "lr": config.optim.lr,
        "optimizer": config.optim.name,
        "schedule": config.optim.schedule,
        "global_batch_size": config.optim.batch_size,
        "micro_batch_size": config.micro_batch_size,
        "max_length": config.max_length,
        "budget": config.budget.name,
        "quant": config.quant.name,
        "loss": config.loss.name,
        "devices": config.hardware.world_size,
        "config_hash": record.config_hash[:12],
        "git_commit": record.git["commit"] if record.git else None,
        **{f"version_{name}": version for name, version in record.versions.items()},
    }


def setup_fields(record: RunRecord) -> dict[str, FieldValue]:
    """Return the fields that are known only after set-up: fingerprint, parameters, hardware and data."""
    fields: dict[str, FieldValue] = {"fingerprint": record.fingerprint, "micro_batch_size": record.micro_batch_size}
    if parameters := record.parameters:
        share = parameters.trainable / parameters.total if parameters.total else None
        fields |= {"trainable_params": parameters.trainable, "total_params": parameters.total, "trainable_share": share}
    if hardware := record.hardware:
        names = ("device", "accelerator", "devices", "precision", "cpu", "cores", "threads")
        fields |= {name: getattr(hardware, name) for name in names}
    if data := record.data:
        fields |= {"data_hash": data.hash, **{f"{split}_rows": rows for split, rows in data.rows.items()}}
    return {name: value for name, value in fields.items() if value is not None}


def results(record: RunRecord) -> dict[str, FieldValue]:
    """Return the results of a run: status, metrics such as `test/accuracy`, cost, sizes."""
    values: dict[str, FieldValue] = {"status": record.status}
    if record.failure:
        values["failure"] = f"{record.failure.type}: {record.failure.message}"[:500]
    for task, splits in record.metrics.items():
        prefix = "" if task == record.task else f"{task}/"  # for a task of a mixture, as in its curves
        for split, metrics in splits.items():
            values |= {f"{split}/{prefix}{name}": metric.value for name, metric in metrics.items()}
    for group, part in (("cost", record.cost), ("parameters", record.parameters)):
        if part:
            values |= {
                f"{group}/{name}": value
                for name, value in part.model_dump().items()
                if isinstance(value, str | int | float)
            }
    if record.parameters and record.parameters.total:
        values["parameters/trainable_share"] = record.parameters.trainable / record.parameters.total
    return values


def main_results(record: RunRecord) -> dict[str, float]:
    """Return the few results that a tracker shows side by side: the test metrics of the table, time, memory, size."""
    numbers = numeric_results(record)
    names = [*(f"test/{column.metric}" for column in record.columns), *_MAIN_COSTS]
    return {name: numbers[name] for name in names if name in numbers}


def numeric_results(record: RunRecord) -> dict[str, float]:
    """Return the results that are numbers."""
    return {
        name: float(value)
        for name, value in results(record).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
