"""The last block of an encoder, worked out for the first token alone where nothing reads the others.

Keys and values are needed of every token, the rest of the block of the first one alone. Transformers' code stays as it
is. That a head reads no other token is not known by name: it is tried.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ftlab.errors import UserError
from ftlab.models.structure import blocks, transformer
from ftlab.models.trunk import Forward, Inputs, answering, evaluating, same

_ATTENTION = "sdpa"  # its mask has a row for each token that asks


class LastBlock:
    """A block of BERT's layout, whose attention the first token alone may ask.

    Attributes:
        block: the whole of it.
        parts: what the other tokens need not go through.
    """

    def __init__(self, block: nn.Module) -> None:
        """Take a block of this layout."""
        self.block = block
        self._attention = block.get_submodule("attention.self")
        self._output = block.get_submodule("attention.output")
        above = [part for name, part in block.named_children() if name != "attention"]
        self.parts = [self._attention.get_submodule("query"), self._output, *above]

    @torch.no_grad()
    def suffices(self, model: nn.Module, forward: Forward, batch: Inputs) -> bool:
        """Try whether the first token's state is all that is read of the block.

        Args:
            model: that it is a part of, as a method made it trainable; on the CPU.
            forward: the method's, which makes the model's logits of a batch.
            batch: rows of the run, padded.
        """
        with evaluating(model):
            plain = forward(model, batch)
            if plain.ndim != 2:  # logits of each token
                return False
            try:
                with self.first_token():
                    found = forward(model, batch)
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
                return False  # another layout after all, or another token is read
        return same(found, plain, batch["attention_mask"])

    @contextmanager
    def first_token(self) -> Iterator[None]:
        """Have the block return the first token's state alone, (rows, 1, width)."""
        residual = self._output.register_forward_pre_hook(lambda _, given: (given[0], given[1][:, :1]))
        try:
            with answering([self._attention], self._attend):
                yield
        finally:
            residual.remove()

    def _attend(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        **others: Any,
    ) -> tuple[torch.Tensor, None]:
        """Answer as the attention does, to one query: (rows, 1, width)."""
        own: Any = self._attention

        def by_head(states: torch.Tensor) -> torch.Tensor:
            split: torch.Tensor = states.unflatten(-1, (-1, own.attention_head_size))
            return split.transpose(1, 2)

        query = by_head(own.query(hidden_states[:, :1]))
        key, value = by_head(own.key(hidden_states)), by_head(own.value(hidden_states))
        if past_key_values is not None:  # a prefix
            cache = getattr(past_key_values, "self_attention_cache", past_key_values)
            key, value = cache.update(key, value, own.layer_idx)
        found, _ = ALL_ATTENTION_FUNCTIONS[_ATTENTION](
            own,
            query,
            key,
            value,
            None if attention_mask is None else attention_mask[:, :, :1],
            dropout=own.dropout.p if own.training else 0.0,
            scaling=own.scaling,
            **others,
        )
        return found.flatten(2), None


def last_block(model: nn.Module) -> LastBlock | None:
    """Return the last block of a model with such blocks; None: it has others."""
    inner = transformer(model)
    if inner is None or inner.config.is_encoder_decoder or inner.config._attn_implementation != _ATTENTION:
        return None
    try:
        return LastBlock(inner.get_submodule(blocks(inner)[-1]))
    except (AttributeError, UserError):
        return None
