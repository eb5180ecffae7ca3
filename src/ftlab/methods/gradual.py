"""Gradual unfreezing with discriminative learning rates."""

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from transformers import PreTrainedModel

from ftlab.errors import ConfigError
from ftlab.methods.base import Batch, TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.models.structure import blocks, head_names
from ftlab.tasks.spec import Task


@dataclass(kw_only=True)
class Gradual(TuningMethod):
    """Train the head first, then one transformer block more at a time from the top, the embeddings last (ULMFiT).

    Howard & Ruder, 2018, sections 3.2 and 3.3. There one layer thaws per epoch; here the stages share the first part of
    the run equally, so that a run of any length reaches the last one. The optimizer owns every parameter from the
    start: a frozen one has no gradient, which leaves it and its momentum alone.

    Attributes:
        decay: learning rate of a layer, relative to the layer above it; 1: the same for all. The paper's 1/2.6 is for
            three recurrent layers: over the 6 to 24 blocks of a transformer it would leave the lower ones untrained.
        until: share of the steps after which everything trains; 0: everything trains from the start.
    """

    decay: float
    until: float

    def __post_init__(self) -> None:
        """Check the rates."""
        if not (isinstance(self.decay, int | float) and 0 < self.decay <= 1):
            raise ConfigError(f"method.decay={self.decay!r} is not valid: give a number above 0 and up to 1.")
        if not (isinstance(self.until, int | float) and 0 <= self.until <= 1):
            raise ConfigError(f"method.until={self.until!r} is not valid: give a share of the steps, from 0 to 1.")

    @property
    def skips_parameters(self) -> bool:
        """Those of the layers that are still frozen."""
        return True

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Make everything trainable: the callback freezes what has to wait."""
        layers_from_top(base.model)  # has it blocks?
        train_only(base.model, {name for name, _ in base.model.named_parameters()})
        return base.model

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return a group of matrices and one of vectors, without weight decay, for each layer."""
        parameters = dict(model.named_parameters())
        groups: list[dict[str, Any]] = []
        for depth, names in enumerate(layers_from_top(model)):
            layer = [parameters[name] for name in names]
            scale = self.decay**depth
            groups.append({"params": [one for one in layer if one.ndim > 1], "lr_scale": scale})
            groups.append({"params": [one for one in layer if one.ndim < 2], "lr_scale": scale, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def callbacks(self) -> list[Callback]:
        """See `Unfreezing`."""
        return [Unfreezing(self.until)]


class Unfreezing(Callback):
    """Lets layers train from the top, by `trainer.global_step` alone: a resumed run needs no state of it.

    It freezes when training starts and not before: gradient hooks of a distributed model and of the checks go to
    parameters that require gradients then.
    """

    def __init__(self, until: float) -> None:
        """Take the share of the steps after which everything trains."""
        self._until = until
        self._layers: list[list[nn.Parameter]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze what has to wait."""
        model = pl_module.get_submodule("model")
        parameters = dict(model.named_parameters())
        self._layers = [[parameters[name] for name in names] for names in layers_from_top(model)]
        self._thaw(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Unfreeze what is due; between the micro-batches of one optimizer step nothing changes."""
        self._thaw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave every parameter as the method made it."""
        for layer in self._layers:
            for parameter in layer:
                parameter.requires_grad_(True)
        self._layers = []

    def _thaw(self, trainer: Trainer) -> None:
        lowest = lowest_layer(trainer.global_step, steps=trainer.max_steps, until=self._until, layers=len(self._layers))
        for depth, layer in enumerate(self._layers):
            for parameter in layer:
                parameter.requires_grad_(depth <= lowest)


def lowest_layer(step: int, *, steps: int, until: float, layers: int) -> int:
    """Return the index, from the top, of the lowest layer that trains in this step.

    Args:
        step: optimizer steps done so far.
        steps: those of the whole run.
        until: share of the steps after which every layer trains; in the last step every layer does.
        layers: how many there are.
    """
    whole = min(round(until * steps), steps - 1)
    return layers - 1 if step >= whole else step * (layers - 1) // whole


def layers_from_top(model: nn.Module) -> list[list[str]]:
    """Return the names of all parameters, by layer: the head, each transformer block from the top, the embeddings.

    What lies outside the blocks goes by its place in the model: what follows the last block (a pooler, the last
    normalisation) belongs to the head, what follows another one (the last normalisation of an encoder that a decoder
    follows) to that block, and what precedes them all and every embedding to the embeddings. An output layer that is
    tied to the embeddings is the head. An encoder-decoder's decoder lies above its encoder.

    Raises:
        UserError: the model has no transformer blocks.
    """
    assert isinstance(model, PreTrainedModel)
    stack = blocks(model)
    top = len(stack) + 1
    head = set(head_names(model))
    tables = {
        f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)
    }  # models name some of them after their blocks
    levels: list[list[str]] = [[] for _ in range(top + 1)]
    below = 0  # level of the block passed last
    for name, _ in model.named_parameters():
        block = next((index for index, block in enumerate(stack) if name.startswith(f"{block}.")), None)
        if block is not None:
            level = below = block + 1
        elif name in head:
            level = top
        elif name in tables:
            level = 0
        else:
            level = top if below == len(stack) else below
        levels[level].append(name)
    return [level for level in reversed(levels) if level]
