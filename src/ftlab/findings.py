"""What a run finds out on its way, as it stands in the record."""

import os

import psutil
import torch
from lightning.pytorch import Trainer

from ftlab.callbacks.cost import CostMeter, summed
from ftlab.callbacks.resume import ResumePoints
from ftlab.data.base import DataModule
from ftlab.environment import cpu_name
from ftlab.record import Cost, Data, Hardware
from ftlab.schema import RunConfig
from ftlab.tasks.spec import Task
from ftlab.trainer import accelerator, precision


def hardware(config: RunConfig) -> Hardware:
    """Return what the run computes on."""
    kind = accelerator(config.hardware)
    return Hardware(
        device=torch.cuda.get_device_name() if kind == "gpu" else kind,
        accelerator=kind,
        devices=config.hardware.world_size,
        precision=precision(config.hardware, kind),
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        threads=torch.get_num_threads(),
    )


def data(rows: DataModule, task: Task) -> Data:
    """Return what there is to say of the rows, once they are tokenized."""
    return Data(
        hash=rows.hash,
        rows=rows.rows,
        columns=dict(rows.origin.columns),
        notes=list(rows.origin.notes),
        dropped=rows.dropped,
        unknown_token_share=rows.unknown_token_share,
        truncated_share=rows.truncated_share,
        labels=list(task.labels),
        target_means=list(task.target_means),
        target_scales=list(task.target_scales),
    )


def cost(meter: CostMeter, points: ResumePoints, setup_s: float, trainer: Trainer, base_bytes: int) -> Cost:
    """Return what the run took; every rank must ask.

    Args:
        meter: has watched training and evaluation.
        points: has counted the time of saving, which is not that of training.
        setup_s: seconds before training.
        trainer: has trained.
        base_bytes: of the base's weights in memory.
    """
    counts = (meter.examples, meter.tokens, meter.positions)
    examples, tokens, positions = (summed(count, trainer.strategy.root_device) for count in counts)
    train_s = meter.train_s - points.saving_s
    memory = meter.memory  # None: nothing was trained
    return Cost(
        setup_s=setup_s,
        train_s=train_s,
        eval_s=meter.eval_s,
        optimizer_steps=trainer.global_step,
        examples_seen=examples,
        tokens_seen=tokens,
        padding_share=1 - tokens / positions if positions else None,
        examples_per_s=examples / train_s if train_s else None,
        tokens_per_s=tokens / train_s if train_s else None,
        peak_memory_bytes=meter.peak_memory,
        baseline_memory_bytes=memory.baseline if memory else None,
        peak_memory_source=memory.source if memory else "nothing trained",
        base_weight_bytes=base_bytes,
    )
