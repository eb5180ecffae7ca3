"""Tasks: LightningModules with the losses and metrics of each kind of task."""

from typing import TYPE_CHECKING, Any

from ftlab.config.kinds import load_part
from ftlab.config.task import Logits, Task
from ftlab.core.errors import ConfigError

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
    """Return the LightningModule that trains this task; see `TaskModule`.

    Raises:
        ConfigError: the task kind names a class that cannot be imported, or that lacks a method.
    """
    module_class = load_part(task.kind, task.module)
    if missing := sorted(getattr(module_class, "__abstractmethods__", ())):
        raise ConfigError(f"{task.module} does not define {', '.join(missing)}, which a TaskModule needs: add it.")
    module: TaskModule[Any] = module_class(model, method, task, make_optimizer, logits=logits)
    return module
