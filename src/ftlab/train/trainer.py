"""Lightning Trainer of a run, and the callbacks of Lightning that it uses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from ftlab.config.groups import OptimConfig
from ftlab.config.task_kind import TaskKind
from ftlab.core.callback import in_order
from ftlab.models.devices import Devices
from ftlab.record.checkpoints import FOLDER
from ftlab.tasks.base import TaskModule
from ftlab.train.checkpoint_io import DurableCheckpointIO
from ftlab.train.fsdp import ShardedStrategy
from ftlab.train.length import TrainingLength

_LOG_EVERY_N_STEPS = 5  # if the number of steps is not known
_POINTS_PER_CURVE = 50  # training losses logged per run, so that short runs have a curve too


def build_trainer(
    devices: Devices,
    optim: OptimConfig,
    length: TrainingLength,
    directory: Path,
    *,
    callbacks: Sequence[Callback | None],
    loggers: list[Logger],
    find_unused_parameters: bool,
) -> Trainer:
    """Return a Trainer that validates on schedule.

    Args:
        devices: of the run.
        optim: gradient clipping and accumulation.
        length: of the run.
        directory: of the run.
        callbacks: put in order by their phases, see `in_order`.
        loggers: of the run.
        find_unused_parameters: see `TuningMethod`.
    """
    strategy: str | DDPStrategy = devices.strategy
    if devices.sharded:
        strategy = ShardedStrategy()
    elif devices.world_size > 1:  # a bucket view saves DDP a copy of the gradients
        strategy = DDPStrategy(find_unused_parameters=find_unused_parameters, gradient_as_bucket_view=True)
    return Trainer(
        accelerator=devices.accelerator,
        devices=devices.per_node,
        num_nodes=devices.nodes,
        strategy=strategy,
        precision=devices.precision,
        max_steps=-1 if length.steps is None else length.steps,
        max_epochs=1,  # the loader yields all epochs as one, see BatchSampler
        accumulate_grad_batches=optim.accumulate,
        gradient_clip_val=optim.grad_clip,
        val_check_interval=length.validation_every,
        check_val_every_n_epoch=None,  # count batches of the whole run
        num_sanity_val_steps=0,
        log_every_n_steps=_LOG_EVERY_N_STEPS if length.steps is None else max(1, length.steps // _POINTS_PER_CURVE),
        logger=loggers,
        callbacks=in_order(callbacks),
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        enable_progress_bar=False,  # the job's output goes to a file; the sweep's process draws the bars
        enable_model_summary=False,
        use_distributed_sampler=False,  # the data module's sampler shards training rows; evaluation is not sharded
        # the number of ranks comes from `hardware` alone, never from the environment of a scheduler
        plugins=[LightningEnvironment(), DurableCheckpointIO()],
        default_root_dir=directory,
    )


def best_checkpoint(kind: TaskKind, directory: Path) -> ModelCheckpoint:
    """Return the callback that keeps the trainable tensors of the best validation."""
    return ModelCheckpoint(
        dirpath=directory / FOLDER,
        filename="best",
        monitor=kind.monitor,
        mode=kind.mode,
        save_weights_only=True,
        enable_version_counter=False,
    )


def early_stopping(kind: TaskKind, patience: int | None) -> EarlyStopping | None:
    """Return the callback that ends a run after `patience` validations without improvement; None: never."""
    return None if patience is None else EarlyStopping(kind.monitor, mode=kind.mode, patience=patience)


def trained_model(trainer: Trainer, module: TaskModule[Any]) -> nn.Module | None:
    """Return the unsharded trained model; None on ranks that do not hold it. Every rank must call this."""
    strategy = trainer.strategy
    return strategy.full_model() if isinstance(strategy, ShardedStrategy) else module.model
