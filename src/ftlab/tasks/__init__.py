"""Tasks: what is predicted, how it is scored, and the LightningModule that trains it."""

from typing import TYPE_CHECKING, Any

from hydra.utils import get_class

from ftlab.tasks.spec import Logits, Task

if TYPE_CHECKING:  # a task's description is read where torch is not imported
    from torch import nn

    from ftlab.methods.base import TuningMethod
    from ftlab.tasks.base import MakeOptimizer, TaskModule


def build(
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
