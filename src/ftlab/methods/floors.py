"""What every trained method must beat: answers that nothing was trained for."""

import json
from abc import ABC
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ftlab.errors import UserError
from ftlab.methods.base import Batch, TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.tasks.spec import (
    CLASSIFICATION,
    MULTILABEL,
    REGRESSION,
    TOKEN_CLASSIFICATION,
    Architecture,
    Task,
    require_one_data_set,
)

_ANSWER = "constant_answer"
_FILE = "answer.json"
_KNOWN = (CLASSIFICATION.name, MULTILABEL.name, REGRESSION.name, TOKEN_CLASSIFICATION.name)


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
    """Answer every text, or every word, with what the training rows are alike in, without reading it.

    Classification: the share of each class, the most frequent one wins. Multi-label: the share of rows with each label,
    so that an example has those that most rows have. Regression: the mean. The floor of models that cannot answer with
    words.
    """

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Leave the task as it is."""
        require_one_data_set(task, "majority")
        if task.name not in _KNOWN:
            raise UserError(f"method=majority counts classes, and the task {task.name} has none: use method=zero_shot.")
        return task

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Note the answer on the model, which is not asked."""
        return _with_answer(base, _answer(task))

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the same logits for every example, (examples, labels), or token, (examples, tokens, labels)."""
        answer = model.get_buffer(_ANSWER)
        return answer.expand(*batch["input_ids"].shape[: answer.ndim], -1)

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write the answer."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _FILE).write_text(json.dumps(model.get_buffer(_ANSWER).tolist()))

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Read it, whatever rows the task was made of."""
        return _with_answer(base, torch.tensor(json.loads((directory / _FILE).read_text())))


def _answer(task: Task) -> torch.Tensor:
    """Return the logits of the answer, (labels,), or (1, labels) where each token has one."""
    shares = torch.tensor([task.label_shares] if task.name == TOKEN_CLASSIFICATION.name else task.label_shares)
    if task.name == REGRESSION.name:
        return shares
    return shares.logit() if task.name == MULTILABEL.name else shares.log()


def _with_answer(base: Base, answer: torch.Tensor) -> nn.Module:
    train_only(base.model, set())
    base.model.register_buffer(_ANSWER, answer, persistent=False)
    return base.model
