"""Tasks: LightningModules with the losses and metrics of each kind of task."""

from typing import TYPE_CHECKING, Any

from ftlab.config.kinds import load_class
from ftlab.config.task import Logits, Task

if TYPE_CHECKING:  # `Task` is also used without importing torch
    from torch import nn

    from ftlab.methods.base import TuningMethod
    from ftlab.methods.reference import ReferenceModel
    from ftlab.tasks.base import MakeOptimizer, TaskModule


def build_task(
    task: Task,
    model: "nn.Module",
    method: "TuningMethod",
    make_optimizer: "MakeOptimizer",
    *,
    logits: Logits = "all",
    reference_model: "ReferenceModel | None" = None,
) -> "TaskModule[Any]":
    """Return the LightningModule that trains this task; see `TaskModule`.

    Raises:
        ConfigError: the task kind names a class that cannot be imported, or is no whole TaskModule.
    """
    from ftlab.tasks.base import TaskModule  # only here: a user's kind may name this package where torch must not load

    module_class: type[TaskModule[Any]] = load_class(task.kind, task.head.module, TaskModule)
    return module_class(model, method, task, make_optimizer, logits=logits, reference_model=reference_model)
