"""Output layer of a language model, applied only to selected positions."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ftlab.core.batch import IGNORE_INDEX


def target_positions(targets: torch.Tensor) -> torch.Tensor:
    """Return row and column of each position with a target, (2, target positions); synchronises with the device."""
    return (targets != IGNORE_INDEX).nonzero().T.contiguous()


@contextmanager
def select_hidden(
    model: nn.Module, positions: tuple[torch.Tensor, torch.Tensor], tokens: int, *, score: bool
) -> Iterator[list[torch.Tensor]]:
    """Pass only the hidden states at these positions to the model's output layer, or none.

    Args:
        model: a model with output embeddings.
        positions: row and column of each position, (positions,) each.
        tokens: number of tokens in a row; columns do not count what precedes them, such as soft prompts.
        score: whether the output layer runs: the model's logits are then (positions, vocabulary). Otherwise the model
            returns no logits, and the caller applies the output layer to the hidden states.

    Yields:
        A list to which each forward pass appends the selected hidden states, (positions, size).
    """
    selected: list[torch.Tensor] = []

    def select(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        hidden, (rows, columns) = inputs[0], positions
        length = hidden.shape[1]
        selected.append(hidden.flatten(0, 1).index_select(0, rows * length + length - tokens + columns))
        return (selected[-1] if score else selected[-1][:0],)

    handle = output_layer(model).register_forward_pre_hook(select)
    try:
        yield selected
    finally:
        handle.remove()


def output_layer(model: nn.Module) -> nn.Module:
    """Return the layer that computes the logits, including what a tuning method added to it."""
    layer: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    return layer
