"""Last encoder block computed for the first token (CLS) only, for heads that read no other token.

Keys and values are needed for every token, the rest of the block only for the first one. Transformers' code is not
changed. Whether a head reads only the first token is tested by running it, not inferred from its class.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ftlab.core.errors import UserError
from ftlab.models.frozen_prefix import Forward, Inputs, eval_mode, logits_match, override_forward
from ftlab.models.structure import blocks, transformer

_ATTENTION = "sdpa"  # its mask has a row for each query token


class ClsOnlyBlock:
    """A block of BERT's layout that can be computed with the first token as the only query.

    Attributes:
        block: the whole block.
        skipped_modules: modules of the block that the other tokens skip.
    """

    def __init__(self, block: nn.Module) -> None:
        """Wrap a block; raise AttributeError if it does not have this layout."""
        self.block = block
        self._attention = block.get_submodule("attention.self")
        self._output = block.get_submodule("attention.output")
        feed_forward = [child for name, child in block.named_children() if name != "attention"]
        self.skipped_modules = [self._attention.get_submodule("query"), self._output, *feed_forward]

    @torch.no_grad()
    def only_cls_is_read(self, model: nn.Module, forward: Forward, batch: Inputs) -> bool:
        """Return whether the logits stay the same when the block computes only the first token; runs the model twice.

        Args:
            model: the model that contains the block, after `method.apply`; on the CPU.
            forward: `method.forward`.
            batch: a padded batch of the run's rows.
        """
        with eval_mode(model):
            expected = forward(model, batch)
            if expected.ndim != 2:  # logits for each token
                return False
            try:
                with self.cls_only():
                    logits = forward(model, batch)
            except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
                return False  # the layout differs after all, or the head reads another token
        return logits_match(logits, expected, batch["attention_mask"])

    @contextmanager
    def cls_only(self) -> Iterator[None]:
        """Make the block return only the first token's state, (rows, 1, width)."""
        residual = self._output.register_forward_pre_hook(lambda _, inputs: (inputs[0], inputs[1][:, :1]))
        try:
            with override_forward([self._attention], self._attend):
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
        """Return the attention output for the first token's query, (rows, 1, width)."""
        attention: Any = self._attention

        def by_head(states: torch.Tensor) -> torch.Tensor:
            split: torch.Tensor = states.unflatten(-1, (-1, attention.attention_head_size))
            return split.transpose(1, 2)

        query = by_head(attention.query(hidden_states[:, :1]))
        key, value = by_head(attention.key(hidden_states)), by_head(attention.value(hidden_states))
        if past_key_values is not None:  # prefix tuning
            cache = getattr(past_key_values, "self_attention_cache", past_key_values)
            key, value = cache.update(key, value, attention.layer_idx)
        output, _ = ALL_ATTENTION_FUNCTIONS[_ATTENTION](
            attention,
            query,
            key,
            value,
            None if attention_mask is None else attention_mask[:, :, :1],
            dropout=attention.dropout.p if attention.training else 0.0,
            scaling=attention.scaling,
            **others,
        )
        return output.flatten(2), None


def find_cls_only_block(model: nn.Module) -> ClsOnlyBlock | None:
    """Return the last block of an encoder with BERT's block layout; None for other models."""
    inner = transformer(model)
    if inner is None or inner.config.is_encoder_decoder or inner.config._attn_implementation != _ATTENTION:
        return None
    try:
        return ClsOnlyBlock(inner.get_submodule(blocks(inner)[-1]))
    except (AttributeError, UserError):
        return None
