"""Methods that train a part of the base model's own parameters and add none."""

from dataclasses import dataclass

from torch import nn

from ftlab.errors import ConfigError, UserError
from ftlab.methods.base import TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.models.structure import blocks, head_names
from ftlab.tasks.spec import Task


@dataclass(kw_only=True)
class Full(TuningMethod):
    """Train every parameter (Devlin et al., 2019, section 4)."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Make everything trainable."""
        train_only(base.model, {name for name, _ in base.model.named_parameters()})
        return base.model


@dataclass(kw_only=True)
class Head(TuningMethod):
    """Train the task's head alone: the classifier, or a language model's output layer.

    Where the output layer is tied to the input embeddings, as in most small language models, both train: they are one
    tensor.
    """

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the head."""
        train_only(base.model, set(head_names(base.model)))
        return base.model


@dataclass(kw_only=True)
class Partial(TuningMethod):
    """Train the last transformer blocks and the head (Lee et al., 2019, "What Would Elsa Do?").

    Attributes:
        layers: how many blocks to train, counted from the output.
    """

    layers: int

    def __post_init__(self) -> None:
        """Check the number of layers, as far as it can be known without a model."""
        if isinstance(self.layers, bool) or not isinstance(self.layers, int) or self.layers < 1:
            raise ConfigError(
                f"method.layers={self.layers!r} is not valid: give the number of blocks to train, 1 or more."
            )

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the last blocks and the head."""
        stack = blocks(base.model)
        if self.layers > len(stack):
            raise UserError(
                f"method.layers={self.layers} is more than the model has: it has {len(stack)} transformer blocks."
            )
        prefixes = tuple(f"{name}." for name in stack[-self.layers :])
        chosen = {name for name, _ in base.model.named_parameters() if name.startswith(prefixes)}
        train_only(base.model, chosen | set(head_names(base.model)))
        return base.model
