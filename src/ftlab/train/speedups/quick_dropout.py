"""Dropout on a CPU at a quarter of the cost: most of that are random numbers, and 16 bits of each are enough.

PyTorch draws one number per element; here four elements share a 64-bit number. The generator is PyTorch's, so seeds
and checkpoints work as usual. Rates are rounded to 1/65,536, and the remaining elements are scaled by the rounded rate:
the mean is exact. Transformers' code is unchanged: the forward passes of dropout modules and of SDPA attention are
overridden.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ftlab.models.frozen_prefix import override_forward
from ftlab.train.speedups.patched_forward import PatchedForward
from ftlab.train.speedups.speedup import ReadyTraining, Speedup

_ATTENTION = "sdpa"
_LEVELS = 2**16  # number of 16-bit values


class _Dropout(torch.autograd.Function):
    """Dropout that saves a mask of one byte per element for the backward pass."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, dropped_levels: int) -> torch.Tensor:
        words = torch.empty(-(-states.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: states.numel()].view(states.shape)
        kept = bits >= dropped_levels - _LEVELS // 2  # the values from -2^15 to 2^15 - 1 are equally likely
        ctx.save_for_backward(kept)
        ctx.scale = _LEVELS / (_LEVELS - dropped_levels)
        output: torch.Tensor = (states * ctx.scale).mul_(kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (gradient * ctx.scale).mul_(kept), None


def dropout_16bit(states: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the states after dropout: each element is 0 with probability `rate`, the others are scaled.

    Args:
        states: of any shape; PyTorch's dropout is used off the CPU, and if the rate rounds to 0 or 1.
        rate: from 0 to 1.
    """
    dropped_levels = round(rate * _LEVELS)
    if states.device.type != "cpu" or not 0 < dropped_levels < _LEVELS:
        return nn.functional.dropout(states, rate)
    output: torch.Tensor = _Dropout.apply(states, dropped_levels)  # type: ignore[no-untyped-call]
    return output


@contextmanager
def quick_dropout(model: nn.Module) -> Iterator[None]:
    """Replace the dropout of a model in training: that of its dropout modules and that of attention weights."""

    def forward(module: nn.Dropout, states: torch.Tensor) -> torch.Tensor:
        return dropout_16bit(states, module.p) if module.training and module.p else states

    with ExitStack() as patches:
        for module in model.modules():
            if type(module) is nn.Dropout and not module.inplace:
                patches.enter_context(override_forward([module], forward.__get__(module)))
        ALL_ATTENTION_FUNCTIONS[_ATTENTION] = _attend
        patches.callback(ALL_ATTENTION_FUNCTIONS.__delitem__, _ATTENTION)  # restores that of Transformers
        yield


def build(training: ReadyTraining, earlier: Sequence[Speedup]) -> PatchedForward | None:
    """Return the callback, or None if it is switched off or the model does not train on a CPU."""
    switched_off = training.config.speed.dropout == "torch"
    if switched_off or training.devices.accelerator != "cpu" or not training.module.trainable:
        return None
    return PatchedForward(lambda: quick_dropout(training.module.model))


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute the same as Transformers' SDPA attention, with faster dropout of the attention weights."""
    grouped = getattr(module, "num_key_value_groups", 1) > 1
    if not dropout or query.device.type != "cpu" or grouped or kwargs.get("position_bias") is not None:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **kwargs
        )
        return output
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(-2, -1)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and causal and query.shape[2] > 1:
        attention_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attention_mask is None:
        weights = scores
    elif attention_mask.dtype == torch.bool:
        weights = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    else:
        weights = scores + attention_mask
    return (dropout_16bit(weights.softmax(-1), dropout) @ value).transpose(1, 2).contiguous(), None
