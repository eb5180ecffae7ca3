"""Record fields that a run fills in: hardware, data and metrics; callbacks add theirs."""

import os
from pathlib import Path
from typing import Any

import psutil
import torch
from lightning.pytorch import Trainer

from ftlab.config.groups import ModelConfig
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.callback import run_callbacks
from ftlab.data.base import DataModule
from ftlab.data.build import RunData
from ftlab.data.mixture import MixtureData
from ftlab.models import Base
from ftlab.models.devices import Devices
from ftlab.record import Data, Hardware, Metric, MixturePart, Origin, TrainingPlan
from ftlab.record.environment import cpu_name
from ftlab.train.length import TrainingLength

FIELDS_OF_CALLBACKS = ("checks", "cost", "robustness", "samples", "warnings")


def hardware(devices: Devices) -> Hardware:
    """Return the hardware of this run."""
    return Hardware(
        device=devices.device_name,
        accelerator=devices.accelerator,
        devices=devices.world_size,
        precision=devices.precision,
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        threads=torch.get_num_threads(),
    )


def base_folder(model: ModelConfig, base: Base, directory: Path) -> str | None:
    """Return the path from a run's folder to its base, if that is named by a path relative to the working directory.

    `predict` and `export` may be called from elsewhere, and the project may have been moved by then.
    """
    path = Path(model.reference).expanduser()
    if base.identity["source"] != "directory" or path.is_absolute():
        return None
    return os.path.relpath(path.resolve(), directory.resolve())


def origin(base: Base) -> Origin | None:
    """Return what the run goes on from; None if it begins with a base that no run of ftlab made."""
    if base.provenance is None:
        return None
    return Origin(kind="continued", parent=base.provenance.parent, tool=base.provenance.tool)


def metrics(results: dict[str, dict[str, Metric]], task: Task) -> dict[str, dict[str, dict[str, Metric]]]:
    """Return task -> split -> name -> metric; metrics of a mixture's parts are under the part's name."""
    by_task: dict[str, dict[str, dict[str, Metric]]] = {task.name: {}}
    parts = {name for name, _ in task.parts}
    for split, named in results.items():
        for name, metric in named.items():
            part, _, part_metric = name.partition("/")
            task_name, metric_name = (part, part_metric) if part in parts else (task.name, name)
            by_task.setdefault(task_name, {}).setdefault(split, {})[metric_name] = metric
    return by_task


def _parts(datamodule: RunData, task: Task) -> dict[str, MixturePart]:
    if not isinstance(datamodule, MixtureData):
        return {}
    return {
        name: MixturePart(
            task=part_task.name,
            predicts=part_task.kind.predicts,
            share=datamodule.sampling_probabilities[name],
            rows=datamodule.parts[name].rows,
            columns=dict(datamodule.parts[name].origin.columns),
            unknown_token_share=datamodule.parts[name].unknown_token_share,
            truncated_share=datamodule.parts[name].truncated_share,
            labels=list(part_task.labels),
            target_means=list(part_task.target_means),
            target_scales=list(part_task.target_scales),
        )
        for name, part_task in task.parts
    }


def data(datamodule: RunData, task: Task) -> Data:
    """Return the properties of the data; they must be tokenized."""
    return Data(
        hash=datamodule.hash,
        rows=datamodule.rows,
        columns=dict(datamodule.origin.columns),
        notes=list(datamodule.origin.notes),
        row_warnings=list(datamodule.warnings),
        dropped=datamodule.dropped,
        unknown_token_share=datamodule.unknown_token_share,
        truncated_share=datamodule.truncated_share,
        labels=list(task.labels),
        target_means=list(task.target_means),
        target_scales=list(task.target_scales),
        parts=_parts(datamodule, task),
    )


def training_plan(config: RunConfig, datamodule: RunData, length: TrainingLength, lr: float) -> TrainingPlan:
    """Return what the run trains on and for how long; the data must be tokenized."""
    max_length, mean_tokens = config.max_length, None
    if isinstance(datamodule, DataModule):
        max_length = datamodule.max_length
        mean_tokens = float(datamodule.token_counts("train")[0].mean())
    return TrainingPlan(
        budget=config.budget.name,
        examples=datamodule.rows["train"],
        rows=datamodule.rows_within_limits["train"],
        all_rows=datamodule.all_rows["train"],
        max_length=max_length,
        mean_tokens=mean_tokens,
        truncated_share=datamodule.truncated_share,
        steps=length.steps,
        seconds=config.budget.seconds,
        batch_size=config.optim.batch_size,
        lr=lr,
    )


def of_callbacks(trainer: Trainer) -> dict[str, Any]:
    """Return the record fields of all callbacks as one: mappings and lists of one name are united.

    What does not fit is left out, with a warning: the training is done, and worth more than a callback's mistake.
    """
    united: dict[str, Any] = {"warnings": []}
    for callback in run_callbacks(trainer):
        for name, value in callback.record_fields(trainer).items():
            misfit = None
            if name not in FIELDS_OF_CALLBACKS:
                misfit = f"is not one of {', '.join(FIELDS_OF_CALLBACKS)}"
            elif name not in united:
                united[name] = value
            elif (both := _unite(united[name], value)) is not None:
                united[name] = both
            else:
                misfit = "has been filled in by another callback"
            if misfit:
                culprit = f"{name} of the callback {type(callback).__qualname__}"
                united["warnings"].append(f"{culprit} is left out: it {misfit}.")
    return united


def _unite(before: Any, value: Any) -> Any:
    """Return two lists or mappings as one; None if they are neither, or fill in the same key."""
    if isinstance(before, list) and isinstance(value, list):
        return [*before, *value]
    if isinstance(before, dict) and isinstance(value, dict) and not before.keys() & value.keys():
        return {**before, **value}
    return None
