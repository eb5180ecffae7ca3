"""Exchange of tensors and numbers between the ranks of a run."""

from collections.abc import Sequence

import torch


def gather_from_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensors of all ranks, stacked; every rank must call it."""
    if not torch.distributed.is_initialized():
        return tensor[None]
    gathered = [torch.empty_like(tensor) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, tensor)
    return torch.stack(gathered)


def max_over_ranks(numbers: Sequence[int], device: torch.device) -> list[int]:
    """Return the largest of each number over all ranks; every rank must call it."""
    largest = torch.tensor(numbers, dtype=torch.int64, device=device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    over_ranks: list[int] = largest.tolist()
    return over_ranks
