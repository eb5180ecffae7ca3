"""Gradual unfreezing with discriminative learning rates."""

from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from transformers import PreTrainedModel

from ftlab.config.task import Task
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError
from ftlab.methods.base import TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.models.structure import blocks, embedding_names, head_names, names_above_blocks


@dataclass(kw_only=True)
class Gradual(TuningMethod):
    """Train the head first, unfreeze the transformer blocks one by one from the top, and the embeddings last (ULMFiT).

    Howard & Ruder, 2018, sections 3.2 and 3.3. They unfreeze one layer per epoch; here all stages are equally long and
    fill the first part of the run, so that a run of any length reaches the last one. The optimizer has every parameter
    from the start; a frozen one has no gradient, so the optimizer does not change it or its momentum.

    Attributes:
        decay: learning rate of a layer relative to the layer above it; 1: the same for all. The paper's 1/2.6 is for
            three recurrent layers; over the 6 to 24 blocks of a transformer it would leave the lower ones untrained.
        until: fraction of the steps after which everything trains; 0: everything trains from the start.
    """

    decay: float
    until: float

    def __post_init__(self) -> None:
        """Check the fields."""
        if not (isinstance(self.decay, int | float) and 0 < self.decay <= 1):
            raise ConfigError(f"method.decay={self.decay!r} is not valid: give a number above 0 and up to 1.")
        if not (isinstance(self.until, int | float) and 0 <= self.until <= 1):
            raise ConfigError(f"method.until={self.until!r} is not valid: give a fraction of the steps, from 0 to 1.")

    @property
    def find_unused_parameters(self) -> bool:
        """Return True: layers that are still frozen get no gradient."""
        return True

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Make everything trainable; the callback freezes the lower layers when training starts."""
        layers_from_top(base.model)  # raises UserError if the model has no blocks
        train_only(base.model, {name for name, _ in base.model.named_parameters()})
        return base.model

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return a group of matrices, and one of vectors without weight decay, for each layer."""
        parameters = dict(model.named_parameters())
        groups: list[dict[str, Any]] = []
        for depth, names in enumerate(layers_from_top(model)):
            layer = [parameters[name] for name in names]
            scale = self.decay**depth
            groups.append({"params": [parameter for parameter in layer if parameter.ndim > 1], "lr_scale": scale})
            vectors = [parameter for parameter in layer if parameter.ndim < 2]
            groups.append({"params": vectors, "lr_scale": scale, "weight_decay": 0.0})
        return [group for group in groups if group["params"]]

    def callbacks(self) -> list[Callback]:
        """See `Unfreezing`."""
        return [Unfreezing(self.until)]


class Unfreezing(Callback):
    """Unfreezes layers from the top; it depends only on `trainer.global_step`, so it needs no state in checkpoints.

    It freezes layers only when training starts: DDP and the gradient checks register hooks before that, on the
    parameters that require gradients.
    """

    def __init__(self, until: float) -> None:
        """Set the fraction of the steps after which everything trains."""
        self._until = until
        self._layers: list[list[nn.Parameter]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze the layers that do not train yet."""
        model = pl_module.get_submodule("model")
        parameters = dict(model.named_parameters())
        self._layers = [[parameters[name] for name in names] for names in layers_from_top(model)]
        self._set_requires_grad(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Unfreeze the layers of this step; nothing changes between the micro-batches of an optimizer step."""
        self._set_requires_grad(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make every parameter trainable again, as after `apply`."""
        for layer in self._layers:
            for parameter in layer:
                parameter.requires_grad_(True)
        self._layers = []

    def _set_requires_grad(self, trainer: Trainer) -> None:
        lowest = lowest_layer(trainer.global_step, steps=trainer.max_steps, until=self._until, layers=len(self._layers))
        for depth, layer in enumerate(self._layers):
            for parameter in layer:
                parameter.requires_grad_(depth <= lowest)


def lowest_layer(step: int, *, steps: int, until: float, layers: int) -> int:
    """Return the index, from the top, of the lowest layer that trains in this step.

    Args:
        step: optimizer steps done so far.
        steps: optimizer steps of the whole run.
        until: fraction of the steps after which every layer trains; in the last step every layer does.
        layers: number of layers.
    """
    all_train_from = min(round(until * steps), steps - 1)
    return layers - 1 if step >= all_train_from else step * (layers - 1) // all_train_from


def layers_from_top(model: nn.Module) -> list[list[str]]:
    """Return the names of all parameters, by layer: the head, each transformer block from the top, the embeddings.

    Parameters outside the blocks are assigned by their position in the model: after the last block (a pooler, the final
    normalisation) to the head; after another block (the final normalisation of an encoder, before the decoder) to that
    block; before all blocks, and all embeddings, to the embeddings. An output layer that is tied to the embeddings is
    the head. The decoder of an encoder-decoder is above its encoder.

    Raises:
        UserError: the model has no transformer blocks.
    """
    assert isinstance(model, PreTrainedModel)
    block_names = blocks(model)
    top = len(block_names) + 1
    head = set(head_names(model))
    above = names_above_blocks(model)
    embeddings = embedding_names(model)  # in some models, embeddings have the name of a block
    levels: list[list[str]] = [[] for _ in range(top + 1)]
    below = 0  # level of the last block so far
    for name, _ in model.named_parameters():
        block = next((index for index, block in enumerate(block_names) if name.startswith(f"{block}.")), None)
        if block is not None:
            level = below = block + 1
        elif name in head or name in above:
            level = top
        else:
            level = 0 if name in embeddings else below
        levels[level].append(name)
    return [level for level in reversed(levels) if level]
