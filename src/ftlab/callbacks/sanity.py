"""Did it really train? Checks that are cheap enough for every run."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.distributed.tensor import DTensor
from torch.utils.hooks import RemovableHandle

from ftlab.record import Check

_WORD = 8  # bytes


class TrainingCheck(Callback):
    """Every trainable tensor gets a non-zero gradient at least once; frozen tensors stay as they were.

    At the first step LoRA's A has none (its B is zero), so a gradient counts whenever it comes.
    """

    def __init__(self, trainable: list[str]) -> None:
        """Take the recorded names of the parameters that train."""
        self._trainable = trainable
        self._waiting: dict[str, RemovableHandle] = {}
        self._frozen: dict[str, int] = {}
        self._changed: list[str] = []
        self._seen: set[str] = set()  # before the run was interrupted
        self._device = torch.device("cpu")

    def state_dict(self) -> dict[str, Any]:
        """Return which parameters have had a gradient; every process must call it."""
        return {"seen": self._seen_anywhere()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self._seen = set(state_dict["seen"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the frozen tensors and listen for gradients, before time and memory of training are measured."""
        self._device = pl_module.device
        model = pl_module.get_submodule("model")
        parameters = dict(model.named_parameters())
        self._frozen = frozen_digests(model, self._trainable)
        self._waiting = {
            name: parameters[name].register_post_accumulate_grad_hook(self._listener(name))
            for name in self._trainable
            if name not in self._seen
        }

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the frozen tensors and stop listening."""
        after = frozen_digests(pl_module.get_submodule("model"), self._trainable)
        changed = anywhere([after.get(name) != digest for name, digest in self._frozen.items()], self._device)
        self._changed = sorted(name for name, other in zip(self._frozen, changed, strict=True) if other)
        for handle in self._waiting.values():
            handle.remove()
        for name in self._seen_anywhere():
            self._waiting.pop(name, None)

    def _seen_anywhere(self) -> list[str]:
        seen = anywhere([name not in self._waiting for name in self._trainable], self._device)
        return [name for name, flag in zip(self._trainable, seen, strict=True) if flag]

    def _listener(self, name: str) -> Callable[[torch.Tensor], None]:
        def listen(parameter: Any) -> None:
            if name in self._waiting and parameter.grad is not None and bool(local(parameter.grad).count_nonzero()):
                self._waiting.pop(name).remove()

        return listen

    def checks(self) -> dict[str, Check]:
        """Return both results for the record."""
        return {"gradients": self._gradients(), "frozen_unchanged": self._unchanged()}

    def _gradients(self) -> Check:
        total, without = len(self._trainable), sorted(self._waiting)
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
    """Return a checksum of every parameter that does not train, computed where the parameter lies.

    The sum of its bytes read as integers, modulo 2^64: any training step that touches a tensor changes it, and it costs
    one pass.
    """
    left_out = set(trainable)
    return {
        name: _sum(local(parameter.detach())) for name, parameter in model.named_parameters() if name not in left_out
    }


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return what of a tensor lies in this process: all of it, unless it is sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def anywhere(flags: list[bool], device: torch.device) -> list[bool]:
    """Return, for each flag, whether it is set in any process."""
    votes = torch.tensor(flags, dtype=torch.int, device=device)
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(votes, torch.distributed.ReduceOp.MAX)
    return [bool(vote) for vote in votes]


def _sum(tensor: torch.Tensor) -> int:
    flat = tensor.reshape(-1).view(torch.uint8)
    if flat.storage_offset() % _WORD:  # a view into another tensor; reading words of it wants them in line
        flat = flat.clone()
    whole = len(flat) - len(flat) % _WORD
    # eight bytes at a time: single ones would first be copied, each to eight
    return int(flat[:whole].view(torch.int64).sum()) + int(flat[whole:].sum())
