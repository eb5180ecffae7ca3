"""Runs with predictions.parquet, whose record says the metric that its predictions give."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ftlab.comparison.stats.variance import Array
from ftlab.record import Metric, MetricColumn
from tests.comparison.factory import ACCURACY, LOSS, METHODS, add_run

LABELS = ("business", "sport")


def write_rows(folder: Path, columns: dict[str, list[Any]], ids: list[str] | None = None, **extra: str) -> None:
    """Write a run's predictions: what the task says of each example."""
    n = len(next(iter(columns.values())))
    fixed = {"task": extra.get("task", "classification"), "split": extra.get("split", "test")}
    rows = {name: [value] * n for name, value in fixed.items()}
    rows["example_id"] = ids or [f"{index:016x}" for index in range(n)]
    pq.write_table(pa.table({**rows, **columns}), folder / "predictions.parquet")


def with_hits(sweep: Path, method: str, seed: int, hits: Array, ids: list[str] | None = None, **settings: Any) -> Path:
    """Add a classifier that has these examples right, (examples,) of 0 and 1."""
    value = Metric(value=float(np.mean(hits)), n=len(hits))
    changes = {"metrics": {"classification": {"test": {"accuracy": value}}}, "columns": ACCURACY}
    folder = _run(sweep, method, seed, changes, settings)
    label = [LABELS[index % 2] for index in range(len(hits))]
    other = [LABELS[1 - index % 2] for index in range(len(hits))]
    guesses = [a if hit else b for a, b, hit in zip(label, other, hits, strict=True)]
    write_rows(folder, {"label": label, "prediction": guesses, "loss": (1.0 - hits).tolist()}, ids)
    return folder


def with_losses(sweep: Path, method: str, seed: int, losses: Array, tokens: list[int]) -> Path:
    """Add a language model with these mean losses of examples, (examples,), and as many tokens in each."""
    value = Metric(value=float(np.average(losses, weights=tokens)), n=sum(tokens))
    changes = {"task": "text", "metrics": {"text": {"test": {"loss": value}}}, "columns": LOSS}
    folder = _run(sweep, method, seed, changes, {})
    write_rows(folder, {"loss": losses.tolist(), "tokens": tokens, "token_accuracy": [0.5] * len(tokens)}, task="text")
    return folder


def column(metric: str) -> tuple[MetricColumn, ...]:
    return (MetricColumn(metric=metric, label=metric, higher_is_better=True),)


def _run(sweep: Path, method: str, seed: int, changes: dict[str, Any], settings: dict[str, Any]) -> Path:
    like = method if method in METHODS else "lora"
    return add_run(sweep, method, seed=seed, like=like, changes=changes, settings=settings, curves=False)


def answers(rng: np.random.Generator, examples: int, share: float, hard: Array) -> Array:
    """Return hits of a run: which are right follows how hard an example is, (examples,), and chance."""
    wrong = np.argsort(hard + rng.normal(0, 0.3, examples))[: round(examples * (1 - share))]
    hits = np.ones(examples)
    hits[wrong] = 0
    return hits
