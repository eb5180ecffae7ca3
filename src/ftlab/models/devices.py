"""Accelerator and numeric precision of a run."""

from typing import Literal

import torch

from ftlab.config.groups import HardwareConfig
from ftlab.core.errors import UserError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def accelerator(hardware: HardwareConfig) -> str:
    """Return the accelerator to use.

    Raises:
        UserError: the requested hardware is not available.
    """
    gpus = torch.cuda.device_count()
    name = hardware.accelerator
    if name == "auto":
        name = "gpu" if gpus else "cpu"
    if name == "gpu" and hardware.devices > gpus:
        raise UserError(
            f"hardware={hardware.name} needs {hardware.devices} CUDA device(s) per node and {gpus} are visible: "
            "use hardware=cpu, or set hardware.devices."
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"hardware={hardware.name} needs Apple's MPS and it is not available: use hardware=cpu.")
    return name


def precision(hardware: HardwareConfig, accelerator: str) -> Precision:
    """Return Lightning's precision string; `auto`: bf16 if the GPU supports it, fp16 on older GPUs, fp32 elsewhere."""
    if hardware.precision == "auto":
        if accelerator != "gpu":
            return "32-true"
        if torch.cuda.is_bf16_supported():
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
