"""Runs of tiny models inside the test's own process."""

from pathlib import Path

import torch
from lightning.pytorch import seed_everything
from torch import nn
from transformers import PreTrainedModel

from ftlab import methods, models
from ftlab.methods.base import Batch, TuningMethod
from ftlab.schema import RunConfig
from ftlab.tasks.spec import CLASSIFICATION, INSTRUCTION, Task
from tests.configs import composed
from tests.tiny import save_tiny

LABELS = ("business", "sport", "tech")


def task_named(name: str) -> Task:
    """Return a task as a data module would."""
    return CLASSIFICATION.with_labels(LABELS) if name == "classification" else INSTRUCTION


def config_for(method: str, kind: str, tmp_path: Path, *overrides: str) -> RunConfig:
    """Return the configuration of a method on a tiny model."""
    folder = tmp_path / kind
    if not folder.exists():
        save_tiny(kind, folder)
    return composed(f"method={method}", "model=hf", f"model.name={folder}", *overrides)


def fresh_base(config: RunConfig, task: Task, *, seed: int = 0) -> PreTrainedModel:
    """Return the base with a head drawn from this seed."""
    seed_everything(seed, verbose=False)
    return models.load(config.model, task, config.quant).model


def applied(config: RunConfig, task: Task, *, seed: int = 0) -> tuple[TuningMethod, nn.Module]:
    """Return a method and the model that it made trainable."""
    method = methods.build(config.method)
    return method, method.apply(fresh_base(config, task, seed=seed), task)


def batch_for(task: Task, *, examples: int = 4, tokens: int = 12, seed: int = 0) -> Batch:
    """Return random tokens with the last two of each example padded, except for the first one's."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 200, (examples, tokens), generator=generator)
    mask = torch.ones_like(ids)
    mask[1:, -2:] = 0
    ids[mask == 0] = 0  # the padding token of every tiny model
    batch = {"input_ids": ids, "attention_mask": mask, "index": torch.arange(examples)}
    if task.labels:
        batch["labels"] = torch.arange(examples) % len(task.labels)
    else:
        batch["labels"] = ids.masked_fill(mask == 0, -100)
        batch["labels"][:, :4] = -100  # the prompt
    return batch
