"""Data modules from a few rows, and the data that lies beside a checkout."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from ftlab.config.groups import BudgetConfig, DatasetConfig
from ftlab.data.base import DataModule
from ftlab.data.dataset import build_dataset
from ftlab.data.loading.batches import Loading

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

COLUMNS = {
    "classification": {"text": "text", "label": "label"},
    "instruction": {"prompt": "prompt", "input": "input", "response": "response"},
    "seq2seq": {"source": "source", "target": "target"},
    "text": {"text": "text"},
    "multilabel": {"text": "text", "labels": "labels"},
    "regression": {"text": "text", "target": "score"},
    "token_classification": {"tokens": "tokens", "tags": "tags"},
    "masked_lm": {"text": "text"},
}


def shared(name: str) -> str:
    """Return the path of a file of the data folder beside the checkout, or skip."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name}: the folder shared/data does not lie beside this checkout")
    return str(path)


def one_epoch(data: DataModule) -> list[dict[str, torch.Tensor]]:
    """Return the training batches in which every row comes up; the last is filled up with rows of the next epoch."""
    data.set_batch_range(
        batches=math.ceil(data.rows["train"] / (data.loading.micro_batch_size * data.loading.world_size))
    )
    return list(data.train_dataloader())


def jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def budget(**limits: Any) -> BudgetConfig:
    none = dict.fromkeys(("steps", "max_length", "train_rows", "val_rows", "test_rows", "patience"))
    return BudgetConfig(**{"name": "test", "epochs": 1, "validations": 1, "oom": "fail", **none, **limits})


def dataset(task: str, source: dict[str, Any], **settings: Any) -> DatasetConfig:
    values = {
        "name": "mine",
        "task": task,
        "source": {"_target_": "ftlab.data.sources.files.read", **source},
        "columns": COLUMNS[task],
        "val_fraction": 0.1,
        "test_fraction": 0.2,
        "max_length": 64,
        **settings,
    }
    return DatasetConfig.model_validate(values)


def loading(**settings: Any) -> Loading:
    return Loading(**{"micro_batch_size": 4, "eval_batch_size": 8, **settings})


def build(config: DatasetConfig, **settings: Any) -> DataModule:
    """Return the data; settings other than `budget` and `max_length` are those of its loaders."""
    limits, max_length = settings.pop("budget", budget()), settings.pop("max_length", config.max_length)
    return build_dataset(config, budget=limits, loading=loading(**settings), max_length=max_length)


def reviews(count: int, labels: Sequence[str] = ("good", "bad")) -> list[dict[str, Any]]:
    return [{"text": f"review number {n} of the film", "label": labels[n % len(labels)]} for n in range(count)]
