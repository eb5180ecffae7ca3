"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Adafactor, get_scheduler

from ftlab.errors import UserError
from ftlab.groups import OptimConfig


def optimizer_maker(
    config: OptimConfig, *, total_steps: int
) -> Callable[[list[dict[str, Any]]], tuple[torch.optim.Optimizer, Any]]:
    """Return a function from parameter groups to an optimizer and its schedule over `total_steps` optimizer steps.

    The groups are PyTorch's; one may have `lr_scale` instead of `lr`, its rate relative to that of the run.
    """

    def make(groups: list[dict[str, Any]]) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = _optimizer(config, [_at_its_rate(group, config.lr) for group in groups])
        warmup_steps = round(config.warmup * total_steps)
        name = "constant_with_warmup" if config.schedule == "constant" else config.schedule
        return optimizer, get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps)

    return make


def _at_its_rate(group: dict[str, Any], lr: float | None) -> dict[str, Any]:
    if "lr_scale" not in group:
        return group
    assert lr is not None  # the schema sees to it where something trains
    rest = {key: value for key, value in group.items() if key != "lr_scale"}
    return {**rest, "lr": lr * group["lr_scale"]}


def _optimizer(config: OptimConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    adam: dict[str, Any] = {"betas": (config.betas[0], config.betas[1]), "eps": config.eps}
    match config.name:
        case "adamw":
            return torch.optim.AdamW(groups, **common, **adam)
        case "sgd":
            return torch.optim.SGD(groups, **common, momentum=config.momentum)
        case "adafactor":  # fixed learning rate, so that it follows the same schedule as the others
            return Adafactor(groups, **common, scale_parameter=False, relative_step=False, warmup_init=False)
        case "adamw_8bit":
            if not torch.cuda.is_available():
                raise UserError("optim=adamw_8bit needs a CUDA device: use optim=adamw.")
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit(groups, **common, **adam)
