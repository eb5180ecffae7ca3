"""Output projections of the sublayers of each transformer block, found by structure, not by model type."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftlab.core.errors import UserError
from ftlab.models.structure import blocks


@dataclass(frozen=True)
class Sublayers:
    """Dotted names of the layers whose output is added to the residual stream, from bottom to top.

    Attributes:
        attention: output projections of all attention layers; two in each decoder block of an encoder-decoder.
        feed_forward: output projections of all feed-forward layers, one in each block.
    """

    attention: list[str]
    feed_forward: list[str]


def sublayers(model: PreTrainedModel) -> Sublayers:
    """Return the output projections of the attention and feed-forward layers.

    An attention layer is an outermost module with "Attention" in its class name; its output projection is the last
    linear layer in it. That of the feed-forward layer is the last linear layer of the block outside attention. A layer
    wrapped by PEFT or ftlab (`base_layer`) counts as the layer inside, under the wrapper's name.

    Raises:
        UserError: the model has no blocks, or a block lacks one of the two (state-space layers; experts whose weights
            are not linear layers).
    """
    attention: list[str] = []
    feed_forward: list[str] = []
    for name in blocks(model):
        attentions: list[list[tuple[str, nn.Module]]] = []
        others: list[tuple[str, nn.Module]] = []
        for path, module in _linear_layers_and_attentions(model.get_submodule(name), f"{name}."):
            if _is_attention(module):
                attentions.append(list(_linear_layers_and_attentions(module, f"{path}.", inside_attention=True)))
            else:
                others.append((path, module))
        outputs = [layers[-1] for layers in attentions if layers]
        # a router or a gate is linear too, but does not write to the residual stream
        candidates = [path for path, layer in others if outputs and width(layer) == width(outputs[-1][1])]
        if not outputs or not candidates:
            raise UserError(
                f"{type(model).__name__} has no {'feed-forward' if outputs else 'attention'} with a linear output layer"
                f" in {name}: use a method that needs no sublayers, such as method=partial."
            )
        attention.extend(path for path, _ in outputs)
        feed_forward.append(candidates[-1])
    return Sublayers(attention, feed_forward)


def width(layer: nn.Module) -> int:
    """Return the output size of a linear layer, which may be wrapped or quantised."""
    linear = unwrapped(layer)
    assert isinstance(linear, nn.Linear | Conv1D)
    return linear.out_features if isinstance(linear, nn.Linear) else int(linear.nf)


def unwrapped(layer: nn.Module) -> nn.Module:
    """Return the base layer inside a wrapper, or the layer itself if it is not wrapped."""
    inner = getattr(layer, "base_layer", layer)
    return inner if isinstance(inner, nn.Module) else layer


def _linear_layers_and_attentions(
    module: nn.Module, prefix: str, *, inside_attention: bool = False
) -> Iterator[tuple[str, nn.Module]]:
    """Yield name and module of linear layers and, unless already inside attention, of outermost attention layers."""
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        # bitsandbytes' layers are subclasses of nn.Linear
        if isinstance(unwrapped(child), nn.Linear | Conv1D) or (_is_attention(child) and not inside_attention):
            yield path, child
        else:
            yield from _linear_layers_and_attentions(child, f"{path}.", inside_attention=inside_attention)


def _is_attention(module: nn.Module) -> bool:
    return "Attention" in type(module).__name__
