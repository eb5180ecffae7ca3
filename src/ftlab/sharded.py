"""Parameters, gradients and optimizer state in parts, one part on each rank (fully sharded data parallel)."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from ftlab.errors import UserError
from ftlab.models.structure import blocks


class ShardedStrategy(DDPStrategy):
    """Data parallel training in which no rank holds the whole model (FSDP; Zhao et al., 2023).

    Each transformer block is put together from all ranks when it is needed and taken apart again. Checkpoints are
    those of one process: whole tensors in one file, written by rank 0 through the CheckpointIO plugin.
    """

    strategy_name = "fsdp"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._hollow: nn.Module | None = None

    @property
    def _net(self) -> nn.Module:
        assert self.lightning_module is not None
        return self.lightning_module.get_submodule("model")

    def setup(self, trainer: Trainer) -> None:
        """Shard the model once, before the optimizer sees its parameters."""
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        if self._hollow is None:
            self._hollow = hollow(self._net)
            shard(self._net, init_device_mesh(self.root_device.type, (self.world_size,)))
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self.model_to_device()  # metrics; the parameters are there
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def teardown(self) -> None:
        """Leave the model where it is: shards on the CPU could not be put together by NCCL."""
        assert self.cluster_environment is not None
        assert self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the trainable tensors, whole; on ranks other than 0 their shapes alone."""
        assert self.lightning_module is not None
        parameters = dict(self._net.named_parameters())
        names: list[str] = self.lightning_module.trainable  # type: ignore[assignment]
        return {f"model.{name}": self._whole(parameters[name]) for name in names}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Take this rank's part of each tensor."""
        parameters = dict(self._net.named_parameters())
        with torch.no_grad():
            for name, tensor in checkpoint["state_dict"].items():
                parameter = parameters[name.removeprefix("model.")]
                parameter.copy_(_part(tensor, parameter))

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return the state as one process would have it."""
        held: dict[str, Any] = super().optimizer_state(optimizer)
        state = {
            index: {key: self._whole(value) if isinstance(value, DTensor) else value for key, value in of_one.items()}
            for index, of_one in held["state"].items()
        }
        return {**held, "state": state}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take this rank's part of what belongs to each element of a parameter."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            state = {
                index: {
                    key: _part(value, parameters[index])
                    if isinstance(value, torch.Tensor) and value.shape == parameters[index].shape
                    else value
                    for key, value in of_one.items()
                }
                for index, of_one in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    def whole_model(self) -> nn.Module | None:
        """Return the trained model in one piece on the CPU of rank 0, None on the others; every rank must call it."""
        assert self._hollow is not None
        tensors = {name: self._whole(parameter) for name, parameter in self._net.named_parameters()}
        if not self.is_global_zero:
            return None
        filled = {
            id(empty): nn.Parameter(tensors[name], requires_grad=empty.requires_grad)
            for name, empty in self._hollow.named_parameters()
        }
        for module in self._hollow.modules():
            for name, empty in list(module.named_parameters(recurse=False, remove_duplicate=False)):
                setattr(module, name, filled[id(empty)])
        return self._hollow

    def _whole(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach()
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        return whole.cpu() if self.is_global_zero else torch.empty_like(whole, device="meta")


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Share the parameters out over the ranks, block by block, and then what lies outside the blocks.

    Raises:
        UserError: two blocks share a parameter.
    """
    stack = blocks(model)
    owners: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        block = next((block for block in stack if name.startswith(f"{block}.")), "")
        if owners.setdefault(id(parameter), block) != block:
            raise UserError(f"{name} is shared between transformer blocks: use hardware.strategy=ddp.")
    for name in stack:
        fully_shard(model.get_submodule(name), mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)  # else it stays whole after an evaluation


def hollow(model: nn.Module) -> nn.Module:
    """Return a copy of the model whose parameters have a shape and no memory."""
    empty: dict[int, Any] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)
        for parameter in model.parameters()
    }
    return deepcopy(model, empty)


def _part(whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not isinstance(like, DTensor):  # a checkpoint to go on from is read before the model is sharded
        return whole
    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
