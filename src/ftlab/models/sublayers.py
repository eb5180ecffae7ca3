"""Where the sublayers of each transformer block end, found by structure and never by model type."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftlab.errors import UserError
from ftlab.models.structure import blocks


@dataclass(frozen=True)
class Sublayers:
    """Dotted names of the layers whose output is added to the residual stream, from bottom to top.

    Attributes:
        attention: output projection of every attention; of decoders of encoder-decoders two in each block.
        feed_forward: output projection of every feed-forward, one in each block.
    """

    attention: list[str]
    feed_forward: list[str]


def sublayers(model: PreTrainedModel) -> Sublayers:
    """Return the output projections of attentions and feed-forwards.

    An attention is an outermost module with "Attention" in its class name, its output projection the last linear layer
    in it; the feed-forward's is the last linear layer of the block outside attention. Layers that PEFT or ftlab wrapped
    (`base_layer`) count as the layer they wrap, under the wrapper's name.

    Raises:
        UserError: the model has no blocks, or a block lacks one of the two (state-space layers; experts whose weights
            are no linear layers).
    """
    attention: list[str] = []
    feed_forward: list[str] = []
    for name in blocks(model):
        attentions: list[list[tuple[str, nn.Module]]] = []
        others: list[tuple[str, nn.Module]] = []
        for path, module in _parts(model.get_submodule(name), f"{name}."):
            if _is_attention(module):
                attentions.append(list(_parts(module, f"{path}.", inside=True)))
            else:
                others.append((path, module))
        outputs = [layers[-1] for layers in attentions if layers]
        # a router or a gate is linear too, but does not write to the residual stream
        written = [path for path, layer in others if outputs and width(layer) == width(outputs[-1][1])]
        if not outputs or not written:
            raise UserError(
                f"{type(model).__name__} has no {'feed-forward' if outputs else 'attention'} with a linear output layer"
                f" in {name}: use a method that looks for no sublayers, such as method=partial."
            )
        attention.extend(path for path, _ in outputs)
        feed_forward.append(written[-1])
    return Sublayers(attention, feed_forward)


def width(layer: nn.Module) -> int:
    """Return the size of a linear layer's output, wrapped, quantised or not."""
    bare = unwrapped(layer)
    assert isinstance(bare, nn.Linear | Conv1D)
    return bare.out_features if isinstance(bare, nn.Linear) else int(bare.nf)


def unwrapped(layer: nn.Module) -> nn.Module:
    """Return the layer of the base model that a layer wraps, or the layer itself."""
    inner = getattr(layer, "base_layer", layer)
    return inner if isinstance(inner, nn.Module) else layer


def _parts(module: nn.Module, prefix: str, *, inside: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """Yield linear layers and, unless `inside` one, outermost attentions."""
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        # bitsandbytes' layers are subclasses of nn.Linear
        if isinstance(unwrapped(child), nn.Linear | Conv1D) or (_is_attention(child) and not inside):
            yield path, child
        else:
            yield from _parts(child, f"{path}.", inside=inside)


def _is_attention(module: nn.Module) -> bool:
    return "Attention" in type(module).__name__
