"""Untrained baselines that every trained method must beat."""

import json
from abc import ABC
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ftlab.config.task import Architecture, Task, require_single_dataset
from ftlab.core.batch import Batch
from ftlab.core.errors import UserError
from ftlab.methods.base import TuningMethod, train_only
from ftlab.models.load import Base

_LOGITS = "constant_logits"  # buffer of the model
_FILE = "answer.json"


@dataclass(kw_only=True)
class Untrained(TuningMethod, ABC):
    """A method without training, which has nothing to save."""

    @property
    def needs_training(self) -> bool:
        """Return False: nothing trains."""
        return False

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Create an empty folder."""
        directory.mkdir(parents=True, exist_ok=True)

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Return what `apply` returns."""
        return self.apply(base, task)


@dataclass(kw_only=True)
class Majority(Untrained):
    """Majority baseline: the same prediction for every text or word, computed from the training labels alone.

    Classification: the frequency of each class, so the most frequent one is predicted. Multi-label: the frequency of
    each label, so those of most rows are predicted. Regression: the mean. It is the baseline of models that cannot
    predict words.
    """

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Refuse tasks without labels."""
        require_single_dataset(task, "majority")
        if not task.labels or task.kind.predicts == "other":
            remedy = "leave it out" if task.labels else "use method=zero_shot"
            raise UserError(f"method=majority counts classes, and the task {task.name} has none: {remedy}.")
        return task

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Register the constant logits on the model, which is not run."""
        return _with_constant_logits(base, _constant_logits(task))

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the same logits for every example, (examples, labels), or token, (examples, tokens, labels)."""
        logits = model.get_buffer(_LOGITS)
        return logits.expand(*batch["input_ids"].shape[: logits.ndim], -1)

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write the logits."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _FILE).write_text(json.dumps(model.get_buffer(_LOGITS).tolist()))

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Read the logits; the label frequencies of the task are not used."""
        return _with_constant_logits(base, torch.tensor(json.loads((directory / _FILE).read_text())))


def _constant_logits(task: Task) -> torch.Tensor:
    """Return the logits, (labels,), or (1, labels) for token classification."""
    if len(task.label_shares) != len(task.labels):
        raise UserError(
            f"method=majority needs the label_shares of the data of {task.name}, which has none: leave it out."
        )
    frequencies = torch.tensor(task.label_shares if task.head.labels_whole_text else [task.label_shares])
    if task.kind.predicts == "numbers":
        return frequencies
    return frequencies.logit() if task.kind.predicts == "labels" else frequencies.log()


def _with_constant_logits(base: Base, logits: torch.Tensor) -> nn.Module:
    train_only(base.model, set())
    base.model.register_buffer(_LOGITS, logits, persistent=False)
    return base.model
