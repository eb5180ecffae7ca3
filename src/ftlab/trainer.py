"""From hardware and budget to a Lightning Trainer, in plain numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.precision import Precision as PrecisionPlugin
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from ftlab.callbacks.progress import ProgressLines
from ftlab.checkpoints import FOLDER, DurableFiles
from ftlab.errors import UserError
from ftlab.groups import BudgetConfig, HardwareConfig, OptimConfig
from ftlab.sharded import ShardedStrategy
from ftlab.tasks.base import TaskModule
from ftlab.tasks.spec import Task

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_ENDLESS = 2**40  # micro-batches: more than any time is enough for
_EVERY = 5  # steps between logged training losses, where the number of steps is not known
_POINTS_PER_CURVE = 50  # training losses logged in a run, so that short runs have a curve too


class Bf16(MixedPrecision):
    """bf16-mixed, with gradients clipped whatever the optimizer.

    Lightning clips none for a fused optimizer, which may unscale them itself. In bf16 nobody has scaled them.
    """

    def clip_gradients(self, *args: Any, **kwargs: Any) -> None:
        """Clip as in fp32."""
        PrecisionPlugin.clip_gradients(self, *args, **kwargs)


@dataclass(frozen=True)
class Plan:
    """How long a run is, worked out before it begins.

    Attributes:
        steps: optimizer steps in all; the schedule's length. None: as many as fit in a time.
        batches: micro-batches in all, per device.
        validation_every: micro-batches between validations.
    """

    steps: int | None
    batches: int
    validation_every: int


def plan(budget: BudgetConfig, *, rows: int, batch_size: int, accumulate: int, fitting: int | None = None) -> Plan:
    """Return the run's length.

    Every step takes `batch_size` rows: the last one of a budget in epochs is filled up with rows of one epoch more.

    Args:
        budget: with its limit.
        rows: of training.
        batch_size: examples per step.
        accumulate: micro-batches per step.
        fitting: steps that a budget in tokens or in FLOPs allows, see `ftlab.budgets`.
    """
    unit, _ = budget.limit
    if unit == "seconds":
        return Plan(None, _ENDLESS, _ENDLESS)
    if fitting is not None:
        steps, validations = fitting, budget.validations
    elif budget.steps is not None:
        steps, validations = budget.steps, budget.validations
    elif budget.epochs is not None:
        steps, validations = math.ceil(budget.epochs * rows / batch_size), budget.epochs * budget.validations
    else:  # nothing trains
        steps, validations = 1, 1
    return Plan(steps, steps * accumulate, max(1, steps // validations) * accumulate)


def accelerator(hardware: HardwareConfig) -> str:
    """Return the accelerator to use.

    Raises:
        UserError: the hardware asked for is not there.
    """
    gpus = torch.cuda.device_count()
    wanted = hardware.accelerator
    if wanted == "auto":
        wanted = "gpu" if gpus else "cpu"
    if wanted == "gpu" and hardware.devices > gpus:
        raise UserError(
            f"hardware={hardware.name} needs {hardware.devices} CUDA device(s) per node and {gpus} are visible: "
            "use hardware=cpu, or set hardware.devices."
        )
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"hardware={hardware.name} needs Apple's MPS and it is not available: use hardware=cpu.")
    return wanted


def precision(hardware: HardwareConfig, accelerator: str) -> Precision:
    """Return the precision in Lightning's terms; `auto` is bf16 where the GPU has it, fp16 on older ones, else fp32."""
    if hardware.precision == "auto":
        if accelerator != "gpu":
            return "32-true"
        if torch.cuda.is_bf16_supported():
            return "bf16-mixed"
        if hardware.strategy == "fsdp":
            raise UserError(
                f"hardware={hardware.name} would train in fp16 on this GPU, which sharded training does not take: set "
                "hardware.precision=32-true."
            )
        return "16-mixed"
    if hardware.precision == "16-mixed" and accelerator == "cpu":
        raise UserError("hardware.precision=16-mixed needs a GPU: use bf16-mixed or 32-true on the CPU.")
    return hardware.precision


def build_trainer(
    *,
    hardware: HardwareConfig,
    patience: int | None,
    optim: OptimConfig,
    task: Task,
    plan: Plan,
    directory: Path,
    loggers: list[Logger],
    callbacks: list[Callback],
    skips_parameters: bool,
) -> Trainer:
    """Return a Trainer that validates on schedule and keeps the best checkpoint of the trainable tensors."""
    strategy: str | DDPStrategy = hardware.strategy
    if strategy == "fsdp":
        strategy = ShardedStrategy()
    elif hardware.world_size > 1:  # gradients are what DDP adds up, and no copies of them
        strategy = DDPStrategy(find_unused_parameters=skips_parameters, gradient_as_bucket_view=True)
    device = accelerator(hardware)
    used = precision(hardware, device)
    unscaled = used == "bf16-mixed" and hardware.strategy != "fsdp"
    best = ModelCheckpoint(
        dirpath=directory / FOLDER,
        filename="best",
        monitor=task.monitor,
        mode=task.mode,
        save_weights_only=True,
        enable_version_counter=False,
    )
    stopping = [EarlyStopping(task.monitor, mode=task.mode, patience=patience)] if patience is not None else []
    return Trainer(
        accelerator=device,
        devices=hardware.devices,
        num_nodes=hardware.num_nodes,
        strategy=strategy,
        precision=None if unscaled else used,
        max_steps=-1 if plan.steps is None else plan.steps,
        max_epochs=1,  # the loader deals all epochs out as one, see Dealer
        accumulate_grad_batches=optim.accumulate,
        gradient_clip_val=optim.grad_clip,
        val_check_interval=plan.validation_every,
        check_val_every_n_epoch=None,  # the interval counts batches of the whole run
        num_sanity_val_steps=0,
        log_every_n_steps=_EVERY if plan.steps is None else max(1, plan.steps // _POINTS_PER_CURVE),
        logger=loggers,
        callbacks=[*callbacks, ProgressLines(), *stopping, best],
        enable_progress_bar=False,  # the job's output goes to a file; bars are drawn where the sweep was started
        enable_model_summary=False,
        use_distributed_sampler=False,  # the data module shards training rows itself; evaluation is never sharded
        # the number of ranks comes from `hardware` alone, never from a scheduler's environment that happens to be there
        plugins=[
            LightningEnvironment(),
            DurableFiles(),
            *([Bf16("bf16-mixed", "cuda" if device == "gpu" else device)] if unscaled else []),
        ],
        default_root_dir=directory,
    )


def trained_model(trainer: Trainer, module: TaskModule[Any]) -> nn.Module | None:
    """Return the trained model in one piece; None on the ranks that do not hold it. Every rank must call it."""
    strategy = trainer.strategy
    return strategy.whole_model() if isinstance(strategy, ShardedStrategy) else module.model
