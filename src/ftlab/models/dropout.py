"""Dropout on a CPU for a quarter of its price: most of it is random numbers, and 16 bits of one are enough.

PyTorch draws a number for each element; here four elements share one of 64 bits. The generator is the same, so
seeds and checkpoints hold. Rates are rounded to 1/65,536, and what is left is scaled by the rounded one: the mean is
exact. Transformers' code stays as it is: dropout modules and SDPA attention are answered for.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ftlab.models.trunk import answering

_ATTENTION = "sdpa"
_STEPS = 2**16  # values of 16 bits


class _Dropout(torch.autograd.Function):
    """Keeps of the forward pass one byte for each element, which says whether it was kept."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, steps: int) -> torch.Tensor:
        words = torch.empty(-(-states.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: states.numel()].view(states.shape)
        kept = bits >= steps - _STEPS // 2  # of equally likely values from -2^15 to 2^15 - 1
        ctx.save_for_backward(kept)
        ctx.scale = _STEPS / (_STEPS - steps)
        found: torch.Tensor = (states * ctx.scale).mul_(kept)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (gradient * ctx.scale).mul_(kept), None


def dropped(states: torch.Tensor, rate: float) -> torch.Tensor:
    """Return the states with each element 0 at this rate, and the others scaled so that the mean stays.

    Args:
        states: of any shape; those that are not on a CPU go PyTorch's way, as do rates that round to 0 or 1.
        rate: from 0 to 1.
    """
    steps = round(rate * _STEPS)
    if states.device.type != "cpu" or not 0 < steps < _STEPS:
        return nn.functional.dropout(states, rate)
    found: torch.Tensor = _Dropout.apply(states, steps)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def quick_dropout(model: nn.Module) -> Iterator[None]:
    """Have the dropout of a model that trains drawn so: of its modules, and of attention's weights."""

    def answer(module: nn.Dropout, states: torch.Tensor) -> torch.Tensor:
        return dropped(states, module.p) if module.training and module.p else states

    with ExitStack() as standing_in:
        for module in model.modules():
            if type(module) is nn.Dropout and not module.inplace:
                standing_in.enter_context(answering([module], answer.__get__(module)))
        ALL_ATTENTION_FUNCTIONS[_ATTENTION] = _attend
        standing_in.callback(ALL_ATTENTION_FUNCTIONS.__delitem__, _ATTENTION)  # the one of Transformers is back then
        yield


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Answer as Transformers' SDPA attention does, and drop weights quickly where it would drop any."""
    grouped = getattr(module, "num_key_value_groups", 1) > 1
    if not dropout or query.device.type != "cpu" or grouped or others.get("position_bias") is not None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **others
        )
        return found
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
    return (dropped(weights.softmax(-1), dropout) @ value).transpose(1, 2).contiguous(), None
