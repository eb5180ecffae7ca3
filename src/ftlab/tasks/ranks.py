"""Gathering of tensors from the ranks of a run."""

import torch


def gather_from_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensors of all ranks, stacked; every rank must call it."""
    if not torch.distributed.is_initialized():
        return tensor[None]
    gathered = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, tensor)
    return torch.stack(gathered)
