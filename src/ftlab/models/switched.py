"""Layers of one base with named parts that can be switched: what several adapters on one model are made of."""

from typing import Any, cast

import torch
from torch import nn


class Switched(nn.Module):
    """A layer of the base and, by name, what runs after it or in its place.

    PEFT's ModulesToSaveWrapper would do for what runs in its place, but holds copies only, and heads of several tasks
    differ in their number of classes.

    Attributes:
        base_layer: the base's own layer (named as in PEFT).
        replaces: whether a part runs in place of the base's layer; else on its output.
        adapters: the parts by name.
        active: the name that is switched on; None, or a name without a part here: the base's layer alone.
    """

    def __init__(self, base_layer: nn.Module, *, replaces: bool) -> None:
        """Wrap a layer, without any part."""
        super().__init__()
        self.base_layer = base_layer
        self.replaces = replaces
        self.adapters = nn.ModuleDict()
        self.active: str | None = None
        self.train(base_layer.training)

    @property
    def weight(self) -> torch.Tensor:
        """The base layer's own: T5's feed-forward reads the type of its output layer's weight."""
        return cast(torch.Tensor, self.base_layer.weight)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the base's layer and what is active."""
        if self.active is None or self.active not in self.adapters:
            return self.base_layer(*args, **kwargs)
        part = self.adapters[self.active]
        return part(*args, **kwargs) if self.replaces else part(self.base_layer(*args, **kwargs))


def switched(model: nn.Module) -> dict[str, Switched]:
    """Return the layers of a model that have parts, by dotted name."""
    return {path: module for path, module in model.named_modules() if isinstance(module, Switched)}


def attach(model: nn.Module, path: str, name: str, part: nn.Module, *, replaces: bool) -> None:
    """Give a layer a part, on the layer's device and in its mode; wrap the layer where it has none yet."""
    layer = model.get_submodule(path)
    if not isinstance(layer, Switched):
        layer = Switched(layer, replaces=replaces)
        model.set_submodule(path, layer)
    layer.adapters[name] = part.to(next(layer.parameters()).device).train(layer.training)


def switch(model: nn.Module, name: str | None) -> None:
    """Switch every layer to the parts of one name; they train, and nothing else does."""
    model.requires_grad_(False)
    for layer in switched(model).values():
        layer.active = name
        if name is not None and name in layer.adapters:
            layer.adapters[name].requires_grad_(True)
