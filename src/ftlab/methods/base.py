"""Base class of all tuning methods."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file, save_file
from torch import nn

from ftlab.config.losses import LossConfig
from ftlab.config.task import Architecture, Task
from ftlab.core.batch import Batch
from ftlab.core.errors import UserError
from ftlab.models.load import Base

WEIGHTS_FILE = "trainable.safetensors"


@dataclass(kw_only=True)
class TuningMethod(ABC):
    """A way to make a base model trainable.

    After `apply`, `requires_grad` is True exactly for the parameters that will ever train. Their names are recorded
    once at that point; checkpoints, export and checks use this list and not `requires_grad`, which gradual unfreezing
    changes. A subclass has plain values as fields, checks them in `__post_init__` and overrides only what differs.
    """

    # Python code that loads what `export` wrote onto a plain Transformers model: an import statement, and an expression
    # with `{folder}` that returns the model for `base`. None: the method trains only parameters of the base itself.
    loading_code: ClassVar[tuple[str, str] | None] = None

    @property
    def needs_training(self) -> bool:
        """Whether it is an error if nothing trains; False for baselines that are evaluated untrained."""
        return True

    @property
    def find_unused_parameters(self) -> bool:
        """Whether some trainable parameters get no gradient in some steps, so that DDP must search for them."""
        return False

    @property
    def num_virtual_tokens(self) -> int:
        """Number of the model's positions that virtual tokens in front of each example use."""
        return 0

    @final
    def pose_task(self, task: Task, architecture: Architecture, loss: LossConfig) -> Task:
        """Return the task as this method and a model of this architecture solve it, with its training loss.

        The architecture comes first, as it decides the head that a method may replace, and the loss last, as it must
        fit what the method makes of the task.

        Raises:
            UserError: the method does not support the task, models of this architecture, or the loss.
        """
        return self.adapt_task(task.for_architecture(architecture), architecture).with_loss(loss)

    def adapt_task(self, task: Task, architecture: Architecture) -> Task:
        """Return the task adapted to this method; called before the model is loaded.

        Raises:
            UserError: the method does not support the task, or models of this architecture.
        """
        return task

    @abstractmethod
    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze parameters, add new ones, and return the model to train.

        Args:
            base: newly loaded model and tokenizer; the model may be changed in place.
            task: what `adapt_task` returned.

        Raises:
            UserError: the method matches no parameter of this model; the message names what it searched for.
        """

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits aligned with the labels.

        Args:
            model: what `apply` returned.
            batch: `input_ids` and `attention_mask` of shape (examples, tokens), and other inputs of the model.

        Returns:
            Sequence classification: (examples, classes). Token classification: (examples, tokens, classes). Language
            models: (examples, tokens, vocabulary), or (selected tokens, vocabulary) inside `select_hidden`; for
            encoder-decoders, tokens are those of the decoder. Virtual tokens have no logits.
        """
        logits: torch.Tensor = model(**batch).logits
        return logits

    def reference_logits(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Return the logits of the base model without what this method added; None if unsupported.

        They are bit-identical to those of the base model as loaded, with its new head. See `forward`.
        """
        return None

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return optimizer groups over every parameter that will ever train.

        A group may set `lr` or `lr_scale` (relative to the run's learning rate), and `weight_decay`; for what it does
        not set, the run's values hold. By default, there is a group of matrices, and one of biases, normalisation and
        other vectors without weight decay.
        """
        matrices: list[nn.Parameter] = []
        vectors: list[nn.Parameter] = []
        for parameter in model.parameters():
            if parameter.requires_grad:
                (matrices if parameter.ndim > 1 else vectors).append(parameter)
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        return [group for group in groups if group["params"]]

    def regulariser(self, model: nn.Module) -> torch.Tensor | None:
        """Return a scalar that is added to the training loss; None: nothing is added."""
        return None

    def callbacks(self) -> list[Callback]:
        """Return callbacks that the method needs in training, such as an unfreezing schedule or a rank schedule.

        The run's length in optimizer steps is `trainer.max_steps`. State that does not follow from
        `trainer.global_step` must be in a callback's `state_dict`; otherwise a resumed run differs.
        """
        return []

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """Write the trained parameters, and nothing of the frozen base model, to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        state = model.state_dict()
        tensors = {name: state[name].detach().cpu().contiguous() for name in trainable}
        save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})

    def merge(self, model: nn.Module) -> nn.Module:
        """Merge what this method added into the base model's weights, and return it; may change `model` in place.

        Raises:
            UserError: it is not equivalent to a change of the base model's weights.
        """
        raise UserError(
            f"what {type(self).__name__} trains is no change of the base's weights, so it cannot be merged into them: "
            "leave --merge out."
        )

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """Load what `export` wrote onto a newly loaded base model; the inverse of `export`."""
        model = self.apply(base, task)
        expected = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        saved = load_file(directory / WEIGHTS_FILE)
        if expected != set(saved):
            different = sorted(expected ^ set(saved))
            raise UserError(f"{directory / WEIGHTS_FILE} does not fit the model: {', '.join(different[:3])} differ.")
        model.load_state_dict(saved, strict=False)
        return model


def trainable_names(model: nn.Module) -> list[str]:
    """Return the names of the trainable parameters, in the model's order."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def train_only(model: nn.Module, names: set[str]) -> None:
    """Make exactly these parameters trainable.

    Raises:
        UserError: one of them is quantised, and integers have no gradient.
    """
    for name, parameter in model.named_parameters():
        trainable = name in names
        if trainable and not parameter.is_floating_point():
            raise UserError(
                f"{name} is quantised and cannot train: use quant=none, or a method that adds weights (method=lora)."
            )
        parameter.requires_grad_(trainable)
