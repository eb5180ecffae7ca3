"""Tasks: LightningModules with the losses and metrics of each kind of task."""

from typing import TYPE_CHECKING, Any

from hydra.utils import get_class

from ftlab.config.task import Logits, Task

if TYPE_CHECKING:  # `Task` is also used without importing torch
    from torch import nn

    from ftlab.methods.base import TuningMethod
    from ftlab.tasks.base import MakeOptimizer, TaskModule


def build_task(
    task: Task,
    model: "nn.Module",
    method: "TuningMethod",
    make_optimizer: "MakeOptimizer",
    *,
    logits: Logits = "all",
) -> "TaskModule[Any]":
    """Return the LightningModule that trains this task; see `TaskModule`."""
    module: TaskModule[Any] = get_class(task.module)(model, method, task, make_optimizer, logits=logits)
    return module
