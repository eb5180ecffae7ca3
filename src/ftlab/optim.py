"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import Adafactor, get_scheduler

from ftlab.errors import UserError
from ftlab.groups import OptimConfig

_TICKS = 10_000  # places on a schedule whose steps are not known


def optimizer_maker(
    config: OptimConfig, *, total_steps: int | None, share: Callable[[], float] | None = None, fused: bool = False
) -> Callable[[list[dict[str, Any]]], tuple[torch.optim.Optimizer, Any]]:
    """Return a function from parameter groups to an optimizer and its schedule.

    Args:
        config: names them.
        total_steps: the schedule's length in optimizer steps; None: it follows `share`.
        share: tells how much of the run is done, from 0 to 1.
        fused: AdamW in one pass over each tensor; the others know no such way.

    The groups are PyTorch's; one may have `lr_scale` instead of `lr`, its rate relative to that of the run.
    """

    def make(groups: list[dict[str, Any]]) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = _optimizer(config, [_at_its_rate(group, config.lr) for group in groups], fused)
        length = _TICKS if total_steps is None else total_steps
        warmup_steps = round(config.warmup * length)
        name = "constant_with_warmup" if config.schedule == "constant" else config.schedule
        schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=length)
        if total_steps is None:
            assert share is not None
            schedule.lr_lambdas = [_following(own, share) for own in schedule.lr_lambdas]
        return optimizer, schedule

    return make


def _following(curve: Callable[[int], float], share: Callable[[], float]) -> Callable[[int], float]:
    """Return the curve as one of the share done, whatever the step."""
    return lambda _: curve(round(share() * _TICKS))


def _at_its_rate(group: dict[str, Any], lr: float | None) -> dict[str, Any]:
    if "lr_scale" not in group:
        return group
    assert lr is not None  # the schema sees to it where something trains
    rest = {key: value for key, value in group.items() if key != "lr_scale"}
    return {**rest, "lr": lr * group["lr_scale"]}


def _optimizer(config: OptimConfig, groups: list[dict[str, Any]], fused: bool) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    adam: dict[str, Any] = {"betas": (config.betas[0], config.betas[1]), "eps": config.eps}
    match config.name:
        case "adamw":
            return torch.optim.AdamW(groups, **common, **adam, fused=fused or None)  # None: torch's own choice
        case "sgd":
            return torch.optim.SGD(groups, **common, momentum=config.momentum)
        case "adafactor":  # fixed learning rate, so that it follows the same schedule as the others
            return Adafactor(groups, **common, scale_parameter=False, relative_step=False, warmup_init=False)
        case "adamw_8bit":
            if not torch.cuda.is_available():
                raise UserError("optim=adamw_8bit needs a CUDA device: use optim=adamw.")
            from bitsandbytes.optim import AdamW8bit

            return AdamW8bit(groups, **common, **adam)
