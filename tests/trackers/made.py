"""Runs for trackers' tests, made without training."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftlab import trackers
from ftlab.config.run_config import RunConfig
from ftlab.record import Metric, MetricColumn, Parameters, RunRecord
from ftlab.train.recorder import record_of_attempt


def no_warning(warning: str) -> None:
    raise AssertionError(warning)


def predictions(directory: Path, answers: list[str], labels: list[str]) -> None:
    """Write predictions as a classification run leaves them."""
    directory.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [
        {
            "task": "classification",
            "split": "test",
            "example_id": f"e{number}",
            "where": f"a.csv:{number + 1}",
            "text": f"text {number}",
            "label": label,
            "prediction": answer,
            "scores": [0.123456, 0.876544],
            "loss": 0.5,
        }
        for number, (answer, label) in enumerate(zip(answers, labels, strict=True))
    ]
    pq.write_table(pa.Table.from_pylist(rows), directory / "predictions.parquet")


def tracked(config: RunConfig, directory: Path, *, loss: float = 0.5, status: str = "completed") -> RunRecord:
    """Track a run, or its next attempt, of one logged step and a test accuracy; return its record."""
    directory.mkdir(parents=True, exist_ok=True)
    record = record_of_attempt(config, directory, [])
    loggers = trackers.build_loggers(config, record, directory, no_warning)
    assert len(loggers) == 2
    for logger in loggers:
        logger.log_metrics({"train/loss": loss}, step=1)
        logger.log_metrics({"test/accuracy": 0.75}, step=2)
    predictions(directory, ["a", "b"], ["a", "a"])
    done = record.model_copy(
        update={
            "status": status,
            "metrics": {
                "classification": {"test": {"accuracy": Metric(value=0.75, n=4), "macro_f1": Metric(value=0.5, n=4)}}
            },
            "parameters": Parameters(trainable=3, total=12),
            "columns": [MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True)],
        }
    )
    done.write(directory)
    trackers.finish_run(loggers, done, directory)
    return done
