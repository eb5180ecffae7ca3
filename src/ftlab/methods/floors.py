"""What every trained method must beat: answers that nothing was trained for."""

import json
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ftlab.errors import UserError
from ftlab.methods.base import Batch, TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.tasks.spec import CLASSIFICATION, TOKEN_CLASSIFICATION, Architecture, Task

_SHARES = "label_shares"
_FILE = "label_shares.json"


@dataclass(kw_only=True)
class Untrained(TuningMethod, ABC):
    """A method without training: there is nothing to save."""

    @property
    def needs_training(self) -> bool:
        """It is no mistake that nothing trains."""
        return False

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Leave an empty folder."""
        directory.mkdir(parents=True, exist_ok=True)

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Return the base as `apply` has it."""
        return self.apply(base, task)


@dataclass(kw_only=True)
class Majority(Untrained):
    """Answer every text, or every word, with the share of each class in training: the most frequent class wins.

    The floor of models that cannot answer with words.
    """

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Leave the task as it is."""
        if task.name not in (CLASSIFICATION.name, TOKEN_CLASSIFICATION.name):
            raise UserError(f"method=majority counts classes, and the task {task.name} has none: use method=zero_shot.")
        return task

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Note the shares on the model, which is not asked."""
        of_words = task.name == TOKEN_CLASSIFICATION.name
        return _with_shares(base, [task.label_shares] if of_words else task.label_shares)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the same log shares for every example, (examples, classes), or token, (examples, tokens, classes)."""
        shares = model.get_buffer(_SHARES)
        return shares.log().expand(*batch["input_ids"].shape[: shares.ndim], -1)

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write the shares."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _FILE).write_text(json.dumps(model.get_buffer(_SHARES).tolist()))

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Read them, whatever rows the task was made of."""
        return _with_shares(base, json.loads((directory / _FILE).read_text()))


def _with_shares(base: Base, shares: Sequence[Any]) -> nn.Module:
    train_only(base.model, set())
    base.model.register_buffer(_SHARES, torch.tensor(shares), persistent=False)
    return base.model
