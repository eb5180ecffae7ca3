"""What a tuning method is, and what every method may rely on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from ftlab.errors import UserError
from ftlab.tasks.spec import Task

WEIGHTS_FILE = "trainable.safetensors"

Batch = dict[str, torch.Tensor]


@dataclass(kw_only=True)
class TuningMethod(ABC):
    """How a base model is made trainable.

    After `apply`, `requires_grad` is True exactly for the parameters that will ever train. Their names are recorded
    then, once: checkpoints, export and checks use that list, never `requires_grad` later (gradual unfreezing changes
    it). A subclass takes plain values as fields, checks them in `__post_init__` and overrides only what differs.
    """

    def adapt_task(self, task: Task) -> Task:
        """Return the task as this method poses it; called before the model is loaded."""
        return task

    @abstractmethod
    def apply(self, model: PreTrainedModel, task: Task) -> nn.Module:
        """Freeze what stays, add what is new, and return the model that trains.

        Raises:
            UserError: the method matches no parameter of this model; the message names what was looked for.
        """

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits aligned with the labels.

        Args:
            model: what `apply` returned.
            batch: `input_ids` and `attention_mask` of shape (examples, tokens), and what else the model takes.

        Returns:
            Classification: (examples, classes). Language models: (examples, tokens, vocabulary), without positions
            for virtual tokens.
        """
        logits: torch.Tensor = model(**batch).logits
        return logits

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return optimizer groups over every parameter that will ever train.

        A group may set `lr` or `weight_decay`; what it leaves out is the run's own. The default has two groups:
        matrices; and biases, normalisation and other vectors, without weight decay.
        """
        matrices: list[nn.Parameter] = []
        vectors: list[nn.Parameter] = []
        for parameter in model.parameters():
            if parameter.requires_grad:
                (matrices if parameter.ndim > 1 else vectors).append(parameter)
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def callbacks(self) -> list[Callback]:
        """Return callbacks that the method needs while training: an unfreezing schedule, a rank budget."""
        return []

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write what was trained, and nothing of the frozen base, to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        state = model.state_dict()
        tensors = {name: state[name].detach().cpu().contiguous() for name in trainable}
        save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})

    def restore(self, base: PreTrainedModel, task: Task, directory: Path) -> nn.Module:
        """Return a fresh base with what `export` wrote put back; the inverse of `export`."""
        model = self.apply(base, task)
        expected = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        saved = load_file(directory / WEIGHTS_FILE)
        if expected != set(saved):
            odd = sorted(expected ^ set(saved))
            raise UserError(f"{directory / WEIGHTS_FILE} does not fit the model: {', '.join(odd[:3])} differ.")
        model.load_state_dict(saved, strict=False)
        return model


def trainable_names(model: nn.Module) -> list[str]:
    """Return the names of the parameters that train, in the model's order."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def train_only(model: nn.Module, names: set[str]) -> None:
    """Make exactly these parameters trainable.

    Raises:
        UserError: one of them is quantised (integers have no gradient).
    """
    for name, parameter in model.named_parameters():
        wanted = name in names
        if wanted and not parameter.is_floating_point():
            raise UserError(
                f"{name} is quantised and cannot train: use quant=none, or a method that adds weights (method=lora)."
            )
        parameter.requires_grad_(wanted)
