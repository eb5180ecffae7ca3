"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Adafactor, get_scheduler

from ftlab.config.groups import OptimConfig, SpeedConfig
from ftlab.core.errors import UserError, reason
from ftlab.models.devices import Devices

_SMALLEST_8BIT = 4096  # elements; bitsandbytes keeps the states of smaller parameters in 32 bits
_RESOLUTION = 10_000  # steps of the schedule of a run whose number of steps is not known


def optimizer_factory(
    config: OptimConfig, *, total_steps: int | None, progress: Callable[[], float] | None = None, fused: bool = False
) -> Callable[[list[dict[str, Any]]], tuple[torch.optim.Optimizer, Any]]:
    """Return a function from parameter groups to an optimizer and its schedule.

    Args:
        config: names optimizer and schedule.
        total_steps: the schedule's length in optimizer steps; None: the schedule follows `progress`.
        progress: returns the completed fraction of the run, from 0 to 1.
        fused: use PyTorch's fused AdamW; other optimizers ignore it.

    The groups are PyTorch's; a group may have `lr_scale` instead of `lr`, a factor of the run's learning rate.
    """

    def make(groups: list[dict[str, Any]]) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = _optimizer(config, [_with_lr(group, config.lr) for group in groups], fused)
        length = _RESOLUTION if total_steps is None else total_steps
        warmup_steps = round(config.warmup * length)
        name = "constant_with_warmup" if config.schedule == "constant" else config.schedule
        schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=length)
        if total_steps is None:
            assert progress is not None
            schedule.lr_lambdas = [_by_progress(lr_lambda, progress) for lr_lambda in schedule.lr_lambdas]
        return optimizer, schedule

    return make


def use_fused_adamw(speed: SpeedConfig, devices: Devices) -> bool:
    """Return whether to use fused AdamW: not in fp16 (gradients are scaled and clipped) nor with FSDP (untested)."""
    return speed.fused_adamw and devices.precision != "16-mixed" and not devices.sharded


def _by_progress(lr_lambda: Callable[[int], float], progress: Callable[[], float]) -> Callable[[int], float]:
    """Return a schedule that depends on the progress of the run instead of the step."""
    return lambda _: lr_lambda(round(progress() * _RESOLUTION))


def _with_lr(group: dict[str, Any], lr: float | None) -> dict[str, Any]:
    if "lr_scale" not in group:
        return group
    assert lr is not None  # the schema guarantees it if anything is trainable
    rest = {key: value for key, value in group.items() if key != "lr_scale"}
    return {**rest, "lr": lr * group["lr_scale"]}


def _optimizer(config: OptimConfig, groups: list[dict[str, Any]], fused: bool) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    adam: dict[str, Any] = {"betas": (config.betas[0], config.betas[1]), "eps": config.eps}
    match config.name:
        case "adamw":
            return torch.optim.AdamW(groups, **common, **adam, fused=fused or None)  # None: PyTorch decides
        case "sgd":
            return torch.optim.SGD(groups, **common, momentum=config.momentum)
        case "adafactor":  # without its own learning-rate rule, so that it follows the schedule
            return Adafactor(groups, **common, scale_parameter=False, relative_step=False, warmup_init=False)
        case "adamw_8bit":
            _require_8bit_optimizer(groups[0]["params"][0].device)
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit(groups, **common, **adam)


def _require_8bit_optimizer(device: torch.device) -> None:
    """Take a step of the optimizer on this device: which ones bitsandbytes supports depends on its version.

    Raises:
        UserError: bitsandbytes is missing, or the step fails or leads nowhere.
    """
    parameter = torch.nn.Parameter(torch.zeros(_SMALLEST_8BIT, device=device))
    parameter.grad = torch.ones_like(parameter)
    try:
        from bitsandbytes.optim import AdamW8bit

        AdamW8bit([parameter], lr=1.0).step()
        problem = None if bool((parameter < 0).all()) else "a step does not move the weights"
    except (ImportError, RuntimeError, NotImplementedError, AttributeError, ValueError) as error:
        problem = reason(error, with_class=True)
    if problem is not None:
        raise UserError(f"optim=adamw_8bit does not work on this {device.type} device ({problem}): use optim=adamw.")
