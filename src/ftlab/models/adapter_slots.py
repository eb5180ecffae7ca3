"""Adapter slots: layers that hold several named adapters, one of which is active."""

from typing import Any, cast

import torch
from torch import nn


class AdapterSlots(nn.Module):
    """A layer of the base model with named adapters, which run on its output or in its place.

    PEFT's ModulesToSaveWrapper could hold modules that run in a layer's place, but it holds only copies of the layer,
    and the heads of several tasks differ in their number of classes.

    Attributes:
        base_layer: the base model's own layer (named as in PEFT).
        replaces: whether an adapter runs in place of the base layer; else on its output.
        adapters: the adapters by name.
        active: name of the active adapter; None, or a name without an adapter here: the base layer runs alone.
    """

    def __init__(self, base_layer: nn.Module, *, replaces: bool) -> None:
        """Wrap a layer, without any adapter."""
        super().__init__()
        self.base_layer = base_layer
        self.replaces = replaces
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.train(base_layer.training)

    @property
    def weight(self) -> torch.Tensor:
        """Weight of the base layer: T5's feed-forward reads the dtype of its output layer's weight."""
        return cast(torch.Tensor, self.base_layer.weight)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the base layer and the active adapter."""
        if self.active is None or self.active not in self.adapters:
            return self.base_layer(*args, **kwargs)
        adapter = self.adapters[self.active]
        return adapter(*args, **kwargs) if self.replaces else adapter(self.base_layer(*args, **kwargs))


def adapter_slots(model: nn.Module) -> dict[str, AdapterSlots]:
    """Return the layers of a model that hold adapters, by dotted name."""
    return {path: module for path, module in model.named_modules() if isinstance(module, AdapterSlots)}


def attach(model: nn.Module, path: str, name: str, adapter: nn.Module, *, replaces: bool) -> None:
    """Add an adapter to a layer, on its device and in its training mode; wrap the layer if it holds no adapter yet."""
    layer = model.get_submodule(path)
    if not isinstance(layer, AdapterSlots):
        layer = AdapterSlots(layer, replaces=replaces)
        model.set_submodule(path, layer)
    layer.adapters[name] = adapter.to(next(layer.parameters()).device).train(layer.training)


def set_active_adapter(model: nn.Module, name: str | None) -> None:
    """Activate the adapters of this name in every layer and make them trainable; freeze everything else."""
    model.requires_grad_(False)
    for layer in adapter_slots(model).values():
        layer.active = name
        if name is not None and name in layer.adapters:
            layer.adapters[name].requires_grad_(True)
