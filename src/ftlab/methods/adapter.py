"""Bottleneck adapters, which PEFT does not offer: small networks after the sublayers of each transformer block."""

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

from ftlab.config.task import Task
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError, did_you_mean, reason
from ftlab.methods.base import WEIGHTS_FILE, TuningMethod
from ftlab.models.adapter_slots import adapter_slots, attach, set_active_adapter
from ftlab.models.load import Base
from ftlab.models.structure import has_new_head, head_modules, new_modules
from ftlab.models.sublayers import sublayers, unwrapped, width

CONFIG_FILE = "adapter_config.json"
PLACEMENTS = ("both", "feed_forward")
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


@dataclass(kw_only=True)
class Adapter(TuningMethod):
    """Bottleneck adapters (Houlsby et al., 2019; Pfeiffer et al., 2021); an instance also describes one named adapter.

    An adapter runs directly after the output projection of a sublayer, before dropout and the residual connection. The
    base model's layer norms stay frozen, unlike Houlsby's, so that adapters can share one base model. A new
    classification head is trained too: each adapter has its own copy.

    Attributes:
        placement: `both`: after attention and feed-forward (Houlsby); `feed_forward`: only after these (Pfeiffer).
        reduction: the bottleneck size is the hidden size divided by this.
        size: bottleneck size, instead of `reduction`.
        activation: `gelu` or `relu`.
        dropout: dropout rate after the activation.
        name: name of the adapter on the model.
        labels: class names of its head in the order of their ids; empty: those of the base model's head.
        new_modules: modules below the head that the base model's checkpoint did not hold, of which each adapter has its
            own copy too.
    """

    loading_code = ("from ftlab.methods.adapter import load_adapter", "load_adapter(base, {folder})")

    placement: str = "both"
    reduction: int = 16
    size: int | None = None
    activation: str = "gelu"
    dropout: float = 0.0
    name: str = "default"
    labels: tuple[str, ...] = ()
    new_modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the fields as far as possible without a model."""
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
            raise ConfigError(f"An adapter cannot be called {self.name!r}: use other letters, digits, _ and -.")
        for field, names in (("labels", self.labels), ("new_modules", self.new_modules)):
            if not all(isinstance(name, str) for name in names):
                raise ConfigError(f"{field}={names!r} is not valid: give a list of names.")
        self.labels, self.new_modules = tuple(self.labels), tuple(self.new_modules)

    def apply(self, base: Base, task: Task) -> nn.Module:
        """Freeze the base model, and add the adapter and its head."""
        add_adapter(base.model, replace(self, labels=task.labels))
        return base.model

    def reference_logits(self, model: nn.Module, batch: Batch) -> torch.Tensor | None:
        """Run the base model without the adapter and its head."""
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
    """Adapter module: down-projection, activation, dropout, up-projection, and a residual connection.

    The down-projection is initialised as in the paper, from N(0, 0.01) truncated at two standard deviations. The
    up-projection starts at zero, in the paper near zero: an untrained adapter does not change the output by one bit.
    """

    def __init__(self, adapter: Adapter, hidden: int) -> None:
        """Create the layers for inputs of size `hidden`."""
        super().__init__()
        size = adapter.size or hidden // adapter.reduction
        if size < 1:
            raise UserError(
                f"method.reduction={adapter.reduction} is larger than the hidden size, {hidden}: lower it, "
                "or set method.size."
            )
        self.adapter = adapter
        self.down = nn.Linear(hidden, size)
        self.activation = ACTIVATIONS[adapter.activation]()
        self.dropout = nn.Dropout(adapter.dropout)
        self.up = nn.Linear(size, hidden)
        nn.init.trunc_normal_(self.down.weight, std=1e-2, a=-2e-2, b=2e-2)
        for parameter in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(parameter)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return hidden states of the same shape and dtype; it computes in its own dtype, fp32, even in bf16 models."""
        inner = self.activation(self.down(hidden.to(self.down.weight.dtype)))
        change: torch.Tensor = self.up(self.dropout(inner)).to(hidden.dtype)
        return hidden + change


def adapters(model: PreTrainedModel) -> dict[str, Adapter]:
    """Return the adapters on a model by name, with the labels of each one's head."""
    return {
        name: module.adapter
        for layer in adapter_slots(model).values()
        for name, module in layer.adapters.items()
        if isinstance(module, Bottleneck)
    }


def add_adapter(model: PreTrainedModel, adapter: Adapter) -> None:
    """Add a new adapter to a model and activate it; before training, only its head may change the outputs.

    Its head is a copy of the base model's, or newly initialised if the number of classes differs. Weights are drawn
    from torch's global generator.

    Args:
        model: a model with the task's head; changed in place. It may already have other adapters.
        adapter: its name and hyperparameters.

    Raises:
        UserError: the name is already used, or the model has no such sublayers.
    """
    adapter = replace(adapter, new_modules=tuple(new_modules(model)))
    _attach_adapter(model, adapter.name, _build_modules(model, adapter))


def activate_adapter(model: PreTrainedModel, name: str | None) -> None:
    """Activate an adapter and its head; None: only the base model, with exactly the logits it has without adapters.

    Only the active adapter is trainable: all other parameters, the base model's included, are frozen.

    Raises:
        UserError: the model has no adapter of this name.
    """
    if name is not None:
        _require_adapter(model, name)
    set_active_adapter(model, name)


def save_adapter(model: PreTrainedModel, name: str, directory: Path) -> None:
    """Write an adapter and its head to `trainable.safetensors`, and its description to `adapter_config.json`.

    Tensors are named after the base model's layers, independently of the adapter's name: `….output.dense.down.weight`.

    Raises:
        UserError: the model has no adapter of this name.
    """
    description = {"base_model": model.name_or_path, **asdict(_require_adapter(model, name))}
    del description["name"]
    tensors = {
        f"{path}.{key}": tensor.detach().cpu().contiguous()
        for path, layer in adapter_slots(model).items()
        if name in layer.adapters
        for key, tensor in layer.adapters[name].state_dict().items()
    }
    directory.mkdir(parents=True, exist_ok=True)
    save_file(tensors, directory / WEIGHTS_FILE, metadata={"format": "pt"})
    (directory / CONFIG_FILE).write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_adapter(model: PreTrainedModel, directory: Path | str, *, name: str = "default") -> PreTrainedModel:
    """Add a saved adapter with its head to a model, activate it, and return the model.

    Args:
        model: the base model it was trained on, with a head for any number of classes; changed in place. It may already
            have other adapters.
        directory: folder that `save_adapter` wrote.
        name: name of the adapter on this model.

    Raises:
        UserError: the folder cannot be used, the name is already used, or the adapter belongs to another kind or size
            of model; the model is not changed then.
    """
    directory = Path(directory)
    adapter = _read_config(directory / CONFIG_FILE, name)
    path = directory / WEIGHTS_FILE
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} cannot be read: {reason(error, named=path)}.") from error
    modules = _build_modules(model, adapter)
    new = {f"{path}.{key}": tensor for path, module in modules.items() for key, tensor in module.state_dict().items()}
    different = [
        key
        for key in new.keys() | saved.keys()
        if key not in new or key not in saved or new[key].shape != saved[key].shape
    ]
    if different:
        raise UserError(
            f"The adapter in {directory} belongs to another kind or size of model than this {type(model).__name__}: "
            f"{len(different)} tensors have no counterpart of their shape, {min(different)} among them."
        )
    for key, tensor in new.items():
        tensor.copy_(saved[key])
    _attach_adapter(model, name, modules)
    return model


def _require_adapter(model: PreTrainedModel, name: str) -> Adapter:
    existing = adapters(model)
    if name not in existing:
        raise UserError(f"The model has no adapter {name!r}: {did_you_mean(name, existing)}.")
    return existing[name]


def _build_modules(model: PreTrainedModel, adapter: Adapter) -> dict[str, nn.Module]:
    """Return the modules of an adapter by the name of the base model's layer; the model is not changed."""
    if adapter.name in adapters(model):
        raise UserError(f"The model has an adapter {adapter.name!r} already: choose another name.")
    if missing := set(adapter.new_modules) - {path for path, _ in model.named_modules()}:
        raise UserError(f"The adapter has weights for {min(missing)}, which this {type(model).__name__} does not have.")
    outputs = sublayers(model)
    heads: dict[str, nn.Module] = {}
    # language models keep their pretrained output layer
    if has_new_head(model) and model.base_model is not model:
        heads = {path: deepcopy(unwrapped(model.get_submodule(path))) for path in head_modules(model)}
        names = tuple(str(label) for _, label in sorted((model.config.id2label or {}).items()))
        adapter = replace(adapter, labels=adapter.labels or names)
        _resize_head(heads, len(adapter.labels))
        heads |= {path: deepcopy(unwrapped(model.get_submodule(path))) for path in adapter.new_modules}
    paths = outputs.feed_forward if adapter.placement == "feed_forward" else [*outputs.attention, *outputs.feed_forward]
    return {**{path: Bottleneck(adapter, width(model.get_submodule(path))) for path in paths}, **heads}


def _resize_head(heads: dict[str, nn.Module], classes: int) -> None:
    *_, layer = (module for head in heads.values() for module in head.modules() if isinstance(module, nn.Linear))
    if layer.out_features != classes:
        layer.out_features = classes
        layer.weight = nn.Parameter(layer.weight.new_empty(classes, layer.in_features))
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias.new_empty(classes))
        layer.reset_parameters()


def _attach_adapter(model: PreTrainedModel, name: str, modules: dict[str, nn.Module]) -> None:
    for path, module in modules.items():
        attach(model, path, name, module, replaces=not isinstance(module, Bottleneck))
    set_active_adapter(model, name)


def _read_config(path: Path, name: str) -> Adapter:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        keys = {"base_model", *(field.name for field in fields(Adapter))} - {"name"}
        if {"new_modules", *values} != keys:  # older adapters have no new modules
            raise ValueError(f"its keys are not {', '.join(sorted(keys))}")
        del values["base_model"]  # only for the reader: shapes show whether the weights fit
        return Adapter(**values, name=name)
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise UserError(f"{path} does not describe an adapter: {reason(error, named=path)}.") from error
