"""Devices of a run: accelerator, numeric precision, and the place of this process among the others."""

import os
from dataclasses import dataclass
from typing import Literal

import torch

from ftlab.config.groups import HardwareConfig
from ftlab.core.errors import UserError

Accelerator = Literal["cpu", "gpu", "mps"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True, kw_only=True)
class Devices:
    """What a run computes on, as one of its processes sees it; found once per process. Each process has one device.

    Attributes:
        accelerator: Lightning's name for the kind of device.
        precision: Lightning's precision string.
        strategy: `hardware.strategy`.
        per_node: number of devices on each node.
        nodes: number of nodes.
        rank: number of this process, over all nodes.
        local_rank: number of this process on its node.
    """

    accelerator: Accelerator = "cpu"
    precision: Precision = "32-true"
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    per_node: int = 1
    nodes: int = 1
    rank: int = 0
    local_rank: int = 0

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.per_node * self.nodes

    @property
    def sharded(self) -> bool:
        """Whether each process holds only a part of the weights."""
        return self.strategy == "fsdp"

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return torch.device(f"cuda:{self.local_rank}" if self.accelerator == "gpu" else self.accelerator)

    @property
    def device_name(self) -> str:
        """Name of a GPU's model; for other devices that of the accelerator."""
        return torch.cuda.get_device_name(self.device) if self.accelerator == "gpu" else self.accelerator

    def synchronise(self) -> None:
        """Wait until a GPU has done what this process asked of it; other devices do at once."""
        if self.accelerator == "gpu":
            torch.cuda.synchronize(self.device)


def local_device() -> torch.device:
    """Return the device for a model that is used outside a run: a GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def process_rank(hardware: HardwareConfig) -> int:
    """Return the number of this process among those of the run; Lightning starts the others and sets LOCAL_RANK."""
    return int(os.environ.get("NODE_RANK", "0")) * hardware.devices + _local_rank()


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def find_devices(hardware: HardwareConfig) -> Devices:
    """Return the devices of a run.

    Raises:
        UserError: the requested hardware is not available, or does not support the precision.
    """
    accelerator = requested_accelerator(hardware)
    _require_accelerator(accelerator, hardware)
    return Devices(
        accelerator=accelerator,
        precision=_precision(hardware, accelerator),
        strategy=hardware.strategy,
        per_node=hardware.devices,
        nodes=hardware.num_nodes,
        rank=process_rank(hardware),
        local_rank=_local_rank(),
    )


def requested_accelerator(hardware: HardwareConfig) -> Accelerator:
    """Return the accelerator of a run, whether this machine has it or not; `auto`: a GPU, if there is one."""
    if hardware.accelerator != "auto":
        return hardware.accelerator
    return "gpu" if torch.cuda.device_count() else "cpu"


def _require_accelerator(accelerator: Accelerator, hardware: HardwareConfig) -> None:
    gpus = torch.cuda.device_count()
    if accelerator == "gpu" and hardware.devices > gpus:
        raise UserError(
            f"hardware={hardware.name} needs {hardware.devices} CUDA device(s) per node and {gpus} are visible: "
            "use hardware=cpu, or set hardware.devices."
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"hardware={hardware.name} needs Apple's MPS and it is not available: use hardware=cpu.")


def _precision(hardware: HardwareConfig, accelerator: Accelerator) -> Precision:
    """Return the precision; `auto`: bf16 if the GPU itself supports it, fp16 on older ones, fp32 elsewhere."""
    if hardware.precision == "auto":
        if accelerator != "gpu":
            return "32-true"
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed"
        if hardware.strategy == "fsdp":
            raise UserError(
                f"hardware={hardware.name} would train in fp16 on this GPU, which sharded training does not support: "
                "set hardware.precision=32-true."
            )
        return "16-mixed"
    if hardware.precision == "16-mixed" and accelerator == "cpu":
        raise UserError("hardware.precision=16-mixed needs a GPU: use bf16-mixed or 32-true on the CPU.")
    return hardware.precision
