"""What a tuning method is, and what every method may rely on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file, save_file
from torch import nn

from ftlab.errors import UserError
from ftlab.models.load import Base
from ftlab.tasks.spec import Architecture, Task

WEIGHTS_FILE = "trainable.safetensors"

Batch = dict[str, torch.Tensor]


@dataclass(kw_only=True)
class TuningMethod(ABC):
    """How a base model is made trainable.

    After `apply`, `requires_grad` is True exactly for the parameters that will ever train. Their names are recorded
    then, once: checkpoints, export and checks use that list, never `requires_grad` later (gradual unfreezing changes
    it). A subclass takes plain values as fields, checks them in `__post_init__` and overrides only what differs.
    """

    # Two pieces of Python that put what `export` wrote on a plain Transformers model: what to import, and an expression
    # with `{folder}` that makes the model of `base`. None: the base's own parameters train, and none are added.
    loading: ClassVar[tuple[str, str] | None] = None

    @property
    def needs_training(self) -> bool:
        """Whether it is a mistake when nothing trains; False for the floors that are measured untrained."""
        return True

    @property
    def skips_parameters(self) -> bool:
        """Whether some trainable parameters get no gradient in some steps: then DDP must look for them."""
        return False

    @property
    def added_positions(self) -> int:
        """How many of the positions that the model can see are taken before an example's first token."""
        return 0

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Return the task as this method poses it; called before the model is loaded.

        Raises:
            UserError: the method does not fit the task, or models of this architecture.
        """
        return task

    @abstractmethod
    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze what stays, add what is new, and return the model that trains.

        Args:
            base: model and tokenizer, fresh from disk; the model may be changed in place.
            task: what `adapt_task` returned.

        Raises:
            UserError: the method matches no parameter of this model; the message names what was looked for.
        """

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits aligned with the labels.

        Args:
            model: what `apply` returned.
            batch: `input_ids` and `attention_mask` of shape (examples, tokens), and what else the model takes.

        Returns:
            Classification: (examples, classes); of tokens: (examples, tokens, classes). Language models: (examples,
            tokens, vocabulary), or (chosen tokens, vocabulary) where the output layer was shown no others; of
            encoder-decoders, a position for each of the decoder's tokens. Without positions for virtual tokens.
        """
        logits: torch.Tensor = model(**batch).logits
        return logits

    def bare(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Return the base's own logits, with what this method added switched off; None: that cannot be.

        They are those of the base as it was loaded, to the bit, its new head included. See `forward`.
        """
        return None

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return optimizer groups over every parameter that will ever train.

        A group may set `lr`, or `lr_scale` (its rate relative to the run's), or `weight_decay`; what it leaves out is
        the run's own. The default has two groups:
        matrices; and biases, normalisation and other vectors, without weight decay.
        """
        matrices: list[nn.Parameter] = []
        vectors: list[nn.Parameter] = []
        for parameter in model.parameters():
            if parameter.requires_grad:
                (matrices if parameter.ndim > 1 else vectors).append(parameter)
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def regulariser(self, model: nn.Module) -> torch.Tensor | None:
        """Return a scalar that is added to the training loss; None: nothing is."""
        return None

    def callbacks(self) -> list[Callback]:
        """Return callbacks that the method needs while training: an unfreezing schedule, a rank budget.

        The run's length is `trainer.max_steps`, in optimizer steps. What `trainer.global_step` does not tell must be in
        a callback's `state_dict`, or a resumed run is another one.
        """
        return []

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write what was trained, and nothing of the frozen base, to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        state = model.state_dict()
        tensors = {name: state[name].detach().cpu().contiguous() for name in trainable}
        save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})

    def merge(self, model: nn.Module) -> nn.Module:
        """Fold what this method added to the base into its weights, and return the base; may change `model` in place.

        Raises:
            UserError: it cannot be written as a change of the base's weights.
        """
        raise UserError(
            f"what {type(self).__name__} trains is no change of the base's weights, so it cannot be merged into them: "
            "leave --merge out."
        )

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
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
