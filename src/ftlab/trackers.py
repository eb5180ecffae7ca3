"""Experiment trackers: W&B, TensorBoard, and metrics.csv, which every run writes."""

import csv
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from ftlab.errors import UserError
from ftlab.groups import LONGEST_TAG
from ftlab.record import RunRecord
from ftlab.schema import RunConfig


def build(config: RunConfig, record: RunRecord, directory: Path, *, done: int = 0) -> list[Logger]:
    """Return the loggers of a run; metrics.csv in its folder is always among them.

    Args:
        config: names the tracker.
        record: of the run.
        directory: the run's folder.
        done: optimizer steps that an earlier attempt has done: metrics.csv keeps their rows and no later ones.
    """
    loggers: list[Logger] = [_metrics_csv(directory, done)]
    tracker = config.tracker
    match tracker.name:
        case "tensorboard":
            loggers.append(TensorBoardLogger(save_dir=str(directory), name="logs", version="tensorboard"))
        case "wandb":
            loggers.append(WandbLogger(experiment=_wandb_run(config, record, directory / "logs")))
    return loggers


def _wandb_run(config: RunConfig, record: RunRecord, logs: Path) -> Any:
    import wandb  # takes a second, and only runs tracked by it need to wait for it

    logs.mkdir(parents=True, exist_ok=True)
    tracker = config.tracker
    if tracker.mode == "online" and not wandb.api.api_key:
        raise UserError(
            "tracker=wandb_online needs an account: run `wandb login` or set WANDB_API_KEY, or use tracker=wandb."
        )
    run = wandb.init(
        project=tracker.project,
        entity=tracker.entity,
        mode=tracker.mode,
        dir=str(logs),
        id=record.run_id,
        name=f"{record.method}-{record.model}-s{record.seed}",
        group=record.sweep,
        job_type=record.method,
        # of a long path the end says more
        tags=[*(name[-LONGEST_TAG:] for name in (record.method, record.model, record.dataset)), *tracker.tags],
        config={**flat_config(config), "config": record.config},
        resume="allow",
        settings=wandb.Settings(silent=True, console="off"),
    )
    run.define_metric("*", step_metric="trainer/global_step")
    return run


def _metrics_csv(directory: Path, done: int) -> Logger:
    path = directory / "metrics.csv"
    header, rows = _rows_before(path, done) if done and path.exists() else ([], [])
    logger = CSVLogger(save_dir=str(directory), name="", version="", flush_logs_every_n_steps=10)
    with warnings.catch_warnings():  # of files that are there already: metrics.csv belongs beside the record
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        writer = logger.experiment  # removes the file
    if rows:
        writer.metrics_keys = header
        with path.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.DictWriter(stream, fieldnames=header)
            lines.writeheader()
            lines.writerows(rows)
    return logger


def _rows_before(path: Path, step: int) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns of metrics.csv, and its rows before a step; Lightning counts steps from 0."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = [row for row in reader if row["step"] and int(row["step"]) < step]
        return list(reader.fieldnames or []), rows


def flat_config(config: RunConfig) -> dict[str, Any]:
    """Return the keys that W&B groups, filters and colours by: plain values, no nesting."""
    return {
        "method": config.method.name,
        "base_model": config.model.name,
        "dataset": config.dataset.name,
        "seed": config.seed,
        "lr": config.optim.lr,
        "global_batch_size": config.optim.batch_size,
        "max_length": config.max_length,
        "budget": config.budget.name,
        "quant": config.quant.name,
    }


def finish(loggers: list[Logger], record: RunRecord) -> None:
    """Give the trackers the run's results and close them, so that nothing leaks into a later run."""
    summary = _summary(record)
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            if record.parameters:
                logger.experiment.config.update({"trainable_params": record.parameters.trainable})
            logger.experiment.summary.update(summary)
            logger.experiment.finish(exit_code=0 if record.status == "completed" else 1)
        else:
            logger.finalize("success" if record.status == "completed" else "failed")


def _summary(record: RunRecord) -> dict[str, Any]:
    values: dict[str, Any] = {"status": record.status}
    for splits in record.metrics.values():
        for split, metrics in splits.items():
            values.update({f"{split}/{name}": metric.value for name, metric in metrics.items()})
    if record.cost:
        values.update({f"cost/{key}": value for key, value in record.cost.model_dump().items()})
    if record.parameters:
        values.update({f"parameters/{key}": value for key, value in record.parameters.model_dump().items()})
    return values
