"""FSDP strategy: parameters, gradients and optimizer state are sharded over the ranks."""

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

from ftlab.core.errors import UserError
from ftlab.models.structure import blocks


class ShardedStrategy(DDPStrategy):
    """Data parallel training in which no rank holds the full model (FSDP; Zhao et al., 2023).

    The parameters of a transformer block are gathered from all ranks when it runs, and resharded after that.
    Checkpoints are like those of a single process: full tensors in one file, written by rank 0 through the
    CheckpointIO plugin.
    """

    strategy_name = "fsdp"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._meta_model: nn.Module | None = None

    @property
    def _task_model(self) -> nn.Module:
        assert self.lightning_module is not None
        return self.lightning_module.get_submodule("model")

    def setup(self, trainer: Trainer) -> None:
        """Shard the model once, before the optimizer is built on its parameters."""
        assert self.accelerator is not None
        assert self.lightning_module is not None
        self.accelerator.setup(trainer)
        if self._meta_model is None:
            self._meta_model = meta_copy(self._task_model)
            shard_model(self._task_model, init_device_mesh(self.root_device.type, (self.world_size,)))
        self.model = self.precision_plugin.convert_module(self.lightning_module)
        self.model_to_device()  # metrics; the parameters are on the device already
        if trainer.state.fn == TrainerFn.FITTING:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def teardown(self) -> None:
        """Tear down without moving the model to the CPU: NCCL cannot gather shards there."""
        assert self.cluster_environment is not None
        assert self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the full trainable tensors; on ranks other than 0 as meta tensors."""
        assert self.lightning_module is not None
        parameters = dict(self._task_model.named_parameters())
        names: list[str] = self.lightning_module.trainable  # type: ignore[assignment]
        return {f"model.{name}": self._full_tensor(parameters[name]) for name in names}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load this rank's shard of each tensor."""
        parameters = dict(self._task_model.named_parameters())
        with torch.no_grad():
            for name, tensor in checkpoint["state_dict"].items():
                parameter = parameters[name.removeprefix("model.")]
                parameter.copy_(_shard_like(tensor, parameter))

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Return the unsharded state."""
        sharded: dict[str, Any] = super().optimizer_state(optimizer)
        state = {
            index: {
                key: self._full_tensor(value) if isinstance(value, DTensor) else value
                for key, value in parameter_state.items()
            }
            for index, parameter_state in sharded["state"].items()
        }
        return {**sharded, "state": state}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load this rank's shard of state tensors that have the shape of their parameter, and the rest as it is."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            state = {
                index: {
                    key: _shard_like(value, parameters[index])
                    if isinstance(value, torch.Tensor) and value.shape == parameters[index].shape
                    else value
                    for key, value in parameter_state.items()
                }
                for index, parameter_state in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})

    def full_model(self) -> nn.Module | None:
        """Return the unsharded trained model on the CPU of rank 0, None on the others; every rank must call this."""
        assert self._meta_model is not None
        tensors = {name: self._full_tensor(parameter) for name, parameter in self._task_model.named_parameters()}
        if not self.is_global_zero:
            return None
        filled = {
            id(parameter): nn.Parameter(tensors[name], requires_grad=parameter.requires_grad)
            for name, parameter in self._meta_model.named_parameters()
        }
        for module in self._meta_model.modules():
            for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
                setattr(module, name, filled[id(parameter)])
        return self._meta_model

    def _full_tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.detach()
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        return full.cpu() if self.is_global_zero else torch.empty_like(full, device="meta")


def shard_model(model: nn.Module, mesh: DeviceMesh) -> None:
    """Shard the parameters over the ranks: each transformer block, then those outside the blocks.

    Raises:
        UserError: two blocks share a parameter.
    """
    block_names = blocks(model)
    owners: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        block = next((block for block in block_names if name.startswith(f"{block}.")), "")
        if owners.setdefault(id(parameter), block) != block:
            raise UserError(f"{name} is shared between transformer blocks: use hardware.strategy=ddp.")
    for name in block_names:
        fully_shard(model.get_submodule(name), mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)  # True: it would stay unsharded after an evaluation


def meta_copy(model: nn.Module) -> nn.Module:
    """Return a copy of the model whose parameters are on the meta device: shapes without memory."""
    empty: dict[int, Any] = {
        id(parameter): nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad)
        for parameter in model.parameters()
    }
    return deepcopy(model, empty)


def _shard_like(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    if not isinstance(like, DTensor):  # a resumed checkpoint is loaded before the model is sharded
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
