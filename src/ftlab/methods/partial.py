"""Methods that train some or all of the base model's own parameters and add none."""

import re
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ftlab.config.task import Task
from ftlab.core.errors import ConfigError, UserError, reason
from ftlab.methods.base import TuningMethod, train_only
from ftlab.models.load import Base
from ftlab.models.structure import blocks, head_names, new_head_names


@dataclass(kw_only=True)
class Full(TuningMethod):
    """Train every parameter (Devlin et al., 2019, section 4)."""

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Make everything trainable."""
        train_only(base.model, {name for name, _ in base.model.named_parameters()})
        return base.model


@dataclass(kw_only=True)
class Head(TuningMethod):
    """Train only the task's head: the classifier, or a language model's output layer.

    If the output layer is tied to the input embeddings, as in most small language models, both train: they are one
    tensor.
    """

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the head."""
        train_only(base.model, set(head_names(base.model)))
        return base.model


@dataclass(kw_only=True)
class Partial(TuningMethod):
    """Train some transformer blocks and the head (Lee et al., 2019, "What Would Elsa Do?").

    Blocks are in the order of the forward pass, from the bottom; an encoder-decoder has those of its encoder first and
    then those of its decoder. So its last N are decoder blocks, nearest to the output, and include encoder blocks only
    if N is larger than the number of decoder blocks.

    Attributes:
        layers: the number of blocks to train, counted from the output; or a list of their positions, 0 at the bottom
            and -1 at the top; or a regular expression that is searched in the names of all parameters.
    """

    layers: int | list[int] | str

    def __post_init__(self) -> None:
        """Check the layers as far as possible without a model."""
        match self.layers:
            case bool():
                valid = False
            case int():
                valid = self.layers >= 1
            case list():
                valid = bool(self.layers) and all(type(index) is int for index in self.layers)
            case _:
                valid = isinstance(self.layers, str) and bool(self.layers)
        if not valid:
            raise ConfigError(
                f"method.layers={self.layers!r} is not valid: give the number of blocks to train (1 or more), a list "
                "of their positions such as [0,-1], or a regular expression over parameter names."
            )
        if isinstance(self.layers, str):
            try:
                re.compile(self.layers)
            except re.error as error:
                raise ConfigError(
                    f"method.layers={self.layers!r} is no regular expression: {reason(error)}."
                ) from error

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but the chosen blocks and the head."""
        train_only(base.model, self._selected_names(base.model) | set(head_names(base.model)))
        return base.model

    def _selected_names(self, model: PreTrainedModel) -> set[str]:
        names = [name for name, _ in model.named_parameters()]
        if isinstance(self.layers, str):
            matches = {name for name in names if re.search(self.layers, name)}
            if not matches:
                example = names[len(names) // 2]
                raise UserError(f"method.layers={self.layers!r} matches no parameter: their names are like {example}.")
            return matches
        prefixes = tuple(f"{block}." for block in self._selected_blocks(blocks(model)))
        return {name for name in names if name.startswith(prefixes)}

    def _selected_blocks(self, block_names: list[str]) -> list[str]:
        count = len(block_names)
        if isinstance(self.layers, list):
            wrong = [index for index in self.layers if not -count <= index < count]
            if wrong:
                raise UserError(
                    f"method.layers={self.layers}: there is no block {wrong[0]}, the model has {count} "
                    f"transformer blocks, 0 to {count - 1} from the bottom or -1 to {-count} from the top."
                )
            return [block_names[index] for index in self.layers]
        assert isinstance(self.layers, int)
        if self.layers > count:
            raise UserError(
                f"method.layers={self.layers} is more than the model has: it has {count} transformer blocks."
            )
        return block_names[-self.layers :]


@dataclass(kw_only=True)
class BitFit(TuningMethod):
    """Train the biases (Ben Zaken et al., 2022) and, as in the paper, all parameters of a new head.

    Biases are parameters named `bias`: T5's relative attention biases are embeddings and stay frozen.
    """

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but biases and a new head."""
        head = new_head_names(base.model)
        biases = {name for name, _ in base.model.named_parameters() if name.endswith(".bias")} - head
        if not biases:
            raise UserError(
                f"{type(base.model).__name__} has no biases, which method=bitfit trains: what fits is method=ln_tuning "
                "or lora."
            )
        train_only(base.model, biases | head)
        return base.model


@dataclass(kw_only=True)
class LayerNormTuning(TuningMethod):
    """Train weight and bias of every normalisation layer, and a new head (Qi et al., 2022; Zhao et al., 2024).

    The layers are found by their class name. PEFT's LNTuning needs their names for each architecture, and has none for
    BERT.
    """

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze all but normalisation layers and a new head."""
        norms = {
            f"{path}.{name}"
            for path, module in base.model.named_modules()
            if "Norm" in type(module).__name__
            for name, _ in module.named_parameters(recurse=False)
        }
        if not norms:
            raise UserError(
                f"{type(base.model).__name__} has no normalisation layers with weights, which method=ln_tuning trains: "
                "what fits is method=bitfit or lora."
            )
        train_only(base.model, norms | new_head_names(base.model))
        return base.model
