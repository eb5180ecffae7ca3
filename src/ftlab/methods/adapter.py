"""Bottleneck adapters, which PEFT does not offer: small networks after the sublayers of every transformer block."""

import json
import re
from copy import deepcopy
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from ftlab.errors import ConfigError, UserError, did_you_mean
from ftlab.methods.base import WEIGHTS_FILE, Batch, TuningMethod
from ftlab.models.load import Base
from ftlab.models.structure import has_new_head, head_modules
from ftlab.models.sublayers import sublayers, unwrapped, width
from ftlab.models.switched import attach, switch, switched
from ftlab.tasks.spec import Task

CONFIG_FILE = "adapter_config.json"
PLACEMENTS = ("both", "feed_forward")
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


@dataclass(kw_only=True)
class Adapter(TuningMethod):
    """Bottleneck adapters (Houlsby et al., 2019; Pfeiffer et al., 2021); a value also describes one named adapter.

    An adapter stands right after the output projection of a sublayer, before dropout and the residual connection. The
    base's layer norms stay frozen, unlike Houlsby's, so that adapters can share one base. A new classification head
    trains along: each adapter has its own copy.

    Attributes:
        placement: `both`: after attention and after the feed-forward (Houlsby); `feed_forward`: there only (Pfeiffer).
        reduction: the hidden size divided by this is the size of the bottleneck.
        size: size of the bottleneck itself, in place of `reduction`.
        activation: `gelu` or `relu`.
        dropout: rate after the activation, in training.
        name: what the adapter is called on the model.
        labels: classes of its head in the order of their ids; empty: those of the base's head.
    """

    loading = ("from ftlab.methods.adapter import load_adapter", "load_adapter(base, {folder})")

    placement: str = "both"
    reduction: int = 16
    size: int | None = None
    activation: str = "gelu"
    dropout: float = 0.0
    name: str = "default"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without a model."""
        for field, choices in (("placement", PLACEMENTS), ("activation", tuple(ACTIVATIONS))):
            value = getattr(self, field)
            if value not in choices:
                raise ConfigError(f"method.{field}={value} is not valid: {did_you_mean(str(value), choices)}.")
        for field, value in (("reduction", self.reduction), ("size", 1 if self.size is None else self.size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"method.{field}={value!r} is not valid: give a whole number, 1 or more.")
        rate = self.dropout
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ConfigError(f"method.dropout={rate!r} is not valid: give a rate from 0 to below 1.")
        if not re.fullmatch(r"[\w-]+", self.name) or hasattr(nn.ModuleDict(), self.name):
            raise ConfigError(f"An adapter cannot be called {self.name!r}: take other letters, digits, _ and -.")
        if not all(isinstance(label, str) for label in self.labels):
            raise ConfigError(f"labels={self.labels!r} is not valid: give a list of class names.")
        self.labels = tuple(self.labels)

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze the base, and add the adapter and its head."""
        add_adapter(base.model, replace(self, labels=task.labels))
        return base.model

    def bare(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Switch to the base alone, and back."""
        assert isinstance(model, PreTrainedModel)
        activate_adapter(model, None)
        try:
            logits: torch.Tensor = model(**batch).logits
        finally:
            activate_adapter(model, self.name)
        return logits

    def export(self, model: nn.Module, directory: Path, trainable: list[str]) -> None:
        """See `save_adapter`."""
        assert isinstance(model, PreTrainedModel)
        save_adapter(model, self.name, directory)

    def restore(self, base: Base, task: Task, directory: Path) -> nn.Module:
        """See `load_adapter`."""
        load_adapter(base.model, directory, name=self.name)
        return base.model


class Bottleneck(nn.Module):
    """Down-projection, non-linearity, up-projection, and the input added: one adapter at one place.

    The down-projection starts as in the paper, from N(0, 0.01) cut at two standard deviations. The up-projection
    starts from zero and not, as there, from nearly zero: an untrained adapter leaves every bit of the base's output.
    """

    def __init__(self, adapter: Adapter, hidden: int) -> None:
        """Take the description and the size of what comes in."""
        super().__init__()
        size = adapter.size or hidden // adapter.reduction
        if size < 1:
            raise UserError(
                f"method.reduction={adapter.reduction} leaves nothing of a hidden size of {hidden}: lower it, "
                "or set method.size."
            )
        self.adapter = adapter
        self.down = nn.Linear(hidden, size)
        self.activation = ACTIVATIONS[adapter.activation]()
        self.dropout = nn.Dropout(adapter.dropout)
        self.up = nn.Linear(size, hidden)
        nn.init.trunc_normal_(self.down.weight, std=1e-2, a=-2e-2, b=2e-2)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return hidden states of the same shape and type; it computes in its own type, fp32, on a bf16 base too."""
        inner = self.activation(self.down(hidden.to(self.down.weight.dtype)))
        change: torch.Tensor = self.up(self.dropout(inner)).to(hidden.dtype)
        return hidden + change


def adapters(model: PreTrainedModel) -> dict[str, Adapter]:
    """Return the adapters on a model by name, with the labels of each one's head."""
    return {
        name: part.adapter
        for layer in switched(model).values()
        for name, part in layer.adapters.items()
        if isinstance(part, Bottleneck)
    }


def add_adapter(model: PreTrainedModel, adapter: Adapter) -> None:
    """Put a new adapter on a model and make it the active one; until it trains, only its head may differ from the base.

    Its head starts as a copy of the base's, or afresh where it has another number of classes. Weights are drawn from
    torch's global generator.

    Args:
        model: with the task's head; changed in place. It may have other adapters already.
        adapter: how it is made and called.

    Raises:
        UserError: the name is taken, or the model has no such sublayers.
    """
    _attach(model, adapter.name, _parts(model, adapter))


def activate_adapter(model: PreTrainedModel, name: str | None) -> None:
    """Switch to an adapter and its head; None: to the base alone, with the very logits it had without adapters.

    What is active is what trains: all other parameters, the base's among them, are frozen.

    Raises:
        UserError: the model has no adapter of this name.
    """
    if name is not None:
        _present(model, name)
    switch(model, name)


def save_adapter(model: PreTrainedModel, name: str, directory: Path) -> None:
    """Write one adapter and its head: `trainable.safetensors`, and `adapter_config.json` to load it by.

    Tensors are named after the base's layers, whatever the adapter is called: `….output.dense.down.weight`.

    Raises:
        UserError: the model has no adapter of this name.
    """
    description = {"base_model": model.name_or_path, **asdict(_present(model, name))}
    del description["name"]
    tensors = {
        f"{path}.{key}": tensor.detach().cpu().contiguous()
        for path, layer in switched(model).items()
        if name in layer.adapters
        for key, tensor in layer.adapters[name].state_dict().items()
    }
    directory.mkdir(parents=True, exist_ok=True)
    save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})
    (directory / CONFIG_FILE).write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_adapter(model: PreTrainedModel, directory: Path | str, *, name: str = "default") -> PreTrainedModel:
    """Put a saved adapter, with its head, on a model, make it the active one, and return the model.

    Args:
        model: the base it was trained on, with a head for any number of classes; changed in place. It may have other
            adapters already.
        directory: what `save_adapter` wrote.
        name: what it is called on this model.

    Raises:
        UserError: the folder cannot be used, the name is taken, or the adapter belongs to another kind or size of
            model; the model is as it was then.
    """
    directory = Path(directory)
    adapter = _read_config(directory / CONFIG_FILE, name)
    try:
        saved = load_file(directory / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{directory / WEIGHTS_FILE} cannot be read: {error}.") from error
    parts = _parts(model, adapter)
    own = {f"{path}.{key}": tensor for path, part in parts.items() for key, tensor in part.state_dict().items()}
    odd = [
        key
        for key in own.keys() | saved.keys()
        if key not in own or key not in saved or own[key].shape != saved[key].shape
    ]
    if odd:
        raise UserError(
            f"The adapter in {directory} belongs to another kind or size of model than this {type(model).__name__}: "
            f"{len(odd)} tensors have no counterpart of their shape, {min(odd)} among them."
        )
    for key, tensor in own.items():
        tensor.copy_(saved[key])
    _attach(model, name, parts)
    return model


def _present(model: PreTrainedModel, name: str) -> Adapter:
    present = adapters(model)
    if name not in present:
        raise UserError(f"The model has no adapter {name!r}: {did_you_mean(name, present)}.")
    return present[name]


def _parts(model: PreTrainedModel, adapter: Adapter) -> dict[str, nn.Module]:
    """Return what the adapter consists of, by the name of the base's layer; the model is not touched."""
    if adapter.name in adapters(model):
        raise UserError(f"The model has an adapter {adapter.name!r} already: choose another name.")
    found = sublayers(model)
    heads: dict[str, nn.Module] = {}
    # language models keep the output layer that they were trained with
    if has_new_head(model) and model.base_model is not model:
        heads = {path: deepcopy(unwrapped(model.get_submodule(path))) for path in head_modules(model)}
        names = tuple(str(label) for _, label in sorted((model.config.id2label or {}).items()))
        adapter = replace(adapter, labels=adapter.labels or names)
        _fit_classes(heads, len(adapter.labels))
    places = found.feed_forward if adapter.placement == "feed_forward" else [*found.attention, *found.feed_forward]
    return {**{path: Bottleneck(adapter, width(model.get_submodule(path))) for path in places}, **heads}


def _fit_classes(heads: dict[str, nn.Module], classes: int) -> None:
    *_, layer = (module for head in heads.values() for module in head.modules() if isinstance(module, nn.Linear))
    if layer.out_features != classes:
        layer.out_features = classes
        layer.weight = nn.Parameter(layer.weight.new_empty(classes, layer.in_features))
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.new_empty(classes))
        layer.reset_parameters()


def _attach(model: PreTrainedModel, name: str, parts: dict[str, nn.Module]) -> None:
    for path, part in parts.items():
        attach(model, path, name, part, replaces=not isinstance(part, Bottleneck))
    switch(model, name)


def _read_config(path: Path, name: str) -> Adapter:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = {"base_model", *(field.name for field in fields(Adapter))} - {"name"}
        if set(values) != known:
            raise ValueError(f"its keys are not {', '.join(sorted(known))}")
        del values["base_model"]  # for the reader: weights that fit are known by their shapes
        return Adapter(**values, name=name)
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise UserError(f"{path} does not describe an adapter: {str(error).rstrip('.')}.") from error
