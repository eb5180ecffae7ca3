"""Batch of tensors: the ignored label, and the model's inputs among its keys."""

from collections.abc import Mapping

import torch

Batch = dict[str, torch.Tensor]

IGNORE_INDEX = -100  # label of a position without loss, as everywhere in Transformers

_NO_INPUTS = ("labels", "index", "loss_weight", "tokens", "text_bytes", "tags", "places", "part", "labelled")


def model_inputs(batch: Mapping[str, torch.Tensor], device: torch.device | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors of a batch that the model takes, moved to `device`; None: they are not moved."""
    inputs = {key: value for key, value in batch.items() if key not in _NO_INPUTS}
    return inputs if device is None else {key: value.to(device) for key, value in inputs.items()}


def micro_batches(batch: Batch | list[Batch]) -> list[Batch]:
    """Return the micro-batches that a training loader yields together; one that was not split is a list of one."""
    return batch if isinstance(batch, list) else [batch]
