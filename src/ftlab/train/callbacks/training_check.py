"""Checks that a run trained what it should, and nothing else; cheap enough for every run."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor
from torch.utils.hooks import RemovableHandle

from ftlab.core.callback import RunCallback
from ftlab.record import Check
from ftlab.tasks.ranks import max_over_ranks

_WORD_BYTES = 8


class TrainingCheck(RunCallback):
    """Checks that every trainable tensor gets a non-zero gradient at least once, and that frozen tensors do not change.

    LoRA's A has a zero gradient at the first step (its B is zero), so a gradient at any step counts.
    """

    def __init__(self, trainable: list[str]) -> None:
        """Take the names of the trainable parameters."""
        self._trainable = trainable
        self._without_gradient: dict[str, RemovableHandle] = {}
        self._frozen: dict[str, int] = {}
        self._changed: list[str] = []
        self._seen: set[str] = set()  # had a gradient before the run was interrupted
        self._device = torch.device("cpu")

    def state_dict(self) -> dict[str, Any]:
        """Return the parameters that have had a gradient; every rank must call this."""
        return {"seen": self._seen_anywhere()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._seen = set(state_dict["seen"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute digests of the frozen tensors and hook gradients, before time and memory of training are measured."""
        self._device = pl_module.device
        model = pl_module.get_submodule("model")
        parameters = dict(model.named_parameters())
        self._frozen = frozen_digests(model, self._trainable)
        self._without_gradient = {
            name: parameters[name].register_post_accumulate_grad_hook(self._hook(name))
            for name in self._trainable
            if name not in self._seen
        }

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the digests of the frozen tensors and remove the hooks."""
        after = frozen_digests(pl_module.get_submodule("model"), self._trainable)
        changed = any_rank([after.get(name) != digest for name, digest in self._frozen.items()], self._device)
        self._changed = sorted(name for name, differs in zip(self._frozen, changed, strict=True) if differs)
        for handle in self._without_gradient.values():
            handle.remove()
        for name in self._seen_anywhere():
            self._without_gradient.pop(name, None)

    def _seen_anywhere(self) -> list[str]:
        seen = any_rank([name not in self._without_gradient for name in self._trainable], self._device)
        return [name for name, flag in zip(self._trainable, seen, strict=True) if flag]

    def _hook(self, name: str) -> Callable[[torch.Tensor], None]:
        def remove_once_nonzero(parameter: Any) -> None:
            if (
                name in self._without_gradient
                and parameter.grad is not None
                and bool(local_shard(parameter.grad).count_nonzero())
            ):
                self._without_gradient.pop(name).remove()

        return remove_once_nonzero

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return the results of both checks; nothing is checked if nothing trains."""
        if not self._trainable:
            return {}
        return {"checks": {"gradients": self._gradients(), "frozen_unchanged": self._unchanged()}}

    def _gradients(self) -> Check:
        total, without = len(self._trainable), sorted(self._without_gradient)
        if without:
            return Check(
                status="failed",
                detail=f"{len(without)} of {total} trainable tensors never had a non-zero gradient: "
                f"{', '.join(without)}",
            )
        return Check(status="passed", detail=f"all {total} trainable tensors had a non-zero gradient")

    def _unchanged(self) -> Check:
        if self._changed:
            return Check(
                status="failed", detail=f"{len(self._changed)} frozen tensors changed: {', '.join(self._changed)}"
            )
        return Check(status="passed", detail=f"all {len(self._frozen)} frozen tensors are unchanged")


def frozen_digests(model: nn.Module, trainable: list[str]) -> dict[str, int]:
    """Return a checksum of every parameter that does not train, computed on its device.

    It is the sum of the bytes, read as integers, modulo 2^64: a training step that touches a tensor changes it, and it
    takes one pass.
    """
    excluded = set(trainable)
    return {
        name: _sum(local_shard(parameter.detach()))
        for name, parameter in model.named_parameters()
        if name not in excluded
    }


def local_shard(tensor: torch.Tensor) -> torch.Tensor:
    """Return the local shard of a tensor; the tensor itself unless it is sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def any_rank(flags: list[bool], device: torch.device) -> list[bool]:
    """Return, for each flag, whether it is set on any rank."""
    return [bool(vote) for vote in max_over_ranks(list(map(int, flags)), device)]


def _sum(tensor: torch.Tensor) -> int:
    flat = tensor.reshape(-1).view(torch.uint8)
    if flat.storage_offset() % _WORD_BYTES:  # an unaligned view into another tensor cannot be viewed as int64
        flat = flat.clone()
    aligned = len(flat) - len(flat) % _WORD_BYTES
    # eight bytes at a time: summing single bytes would first copy each to eight
    return int(flat[:aligned].view(torch.int64).sum()) + int(flat[aligned:].sum())
