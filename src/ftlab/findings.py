"""What a run finds out on its way, as it stands in the record."""

import os

import psutil
import torch
from lightning.pytorch import Trainer

from ftlab.callbacks.cost import CostMeter, summed
from ftlab.callbacks.last_block import OneToken
from ftlab.callbacks.resume import ResumePoints
from ftlab.callbacks.trunk import TrunkCache
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.environment import cpu_name
from ftlab.flops import Work, inference_flops
from ftlab.record import Cost, Data, Hardware, Metric, Part
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


def metrics(results: dict[str, dict[str, Metric]], task: Task) -> dict[str, dict[str, dict[str, Metric]]]:
    """Return task -> split -> name -> metric; those of a mixture's parts stand under their names."""
    found: dict[str, dict[str, dict[str, Metric]]] = {task.name: {}}
    parts = {name for name, _ in task.parts}
    for split, named in results.items():
        for name, metric in named.items():
            part, _, own = name.partition("/")
            place = (part, own) if part in parts else (task.name, name)
            found.setdefault(place[0], {}).setdefault(split, {})[place[1]] = metric
    return found


def _parts(rows: DataModule | MixtureData, task: Task) -> dict[str, Part]:
    if not isinstance(rows, MixtureData):
        return {}
    return {
        name: Part(
            task=one.name,
            share=rows.shares[name],
            rows=rows.parts[name].rows,
            columns=dict(rows.parts[name].origin.columns),
            unknown_token_share=rows.parts[name].unknown_token_share,
            truncated_share=rows.parts[name].truncated_share,
            labels=list(one.labels),
            target_means=list(one.target_means),
            target_scales=list(one.target_scales),
        )
        for name, one in task.parts
    }


def data(rows: DataModule | MixtureData, task: Task) -> Data:
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
        parts=_parts(rows, task),
    )


def cost(
    meter: CostMeter,
    points: ResumePoints,
    setup_s: float,
    trainer: Trainer,
    base_bytes: int,
    arithmetic: Work,
    trunk: list[TrunkCache],
    last: list[OneToken],
) -> Cost:
    """Return what the run took; every rank must ask.

    Args:
        meter: has watched training and evaluation.
        points: has counted the time of saving, which is not that of training.
        setup_s: seconds before training.
        trainer: has trained.
        base_bytes: of the base's weights in memory.
        arithmetic: what each token of training goes through.
        trunk: has spared some of it, or none.
        last: the same, of the last block.
    """
    counts, device = (meter.examples, meter.tokens, meter.positions), trainer.strategy.root_device
    examples, tokens, positions = (summed(count, device) for count in counts)
    train_s = meter.train_s - points.saving_s
    memory = meter.memory  # None: nothing was trained
    joules, why = _energy(meter, trainer)
    return Cost(
        setup_s=setup_s,
        train_s=train_s,
        train_cpu_s=meter.train_cpu_s,
        training_flops=arithmetic.flops(tokens),
        spared_flops=sum(inference_flops(one.multiplied, summed(one.saved, device)) for one in trunk)
        + sum(one.spared.flops(tokens - examples) for one in last),
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
        energy_joules=joules,
        energy_status=why,
    )


def _energy(meter: CostMeter, trainer: Trainer) -> tuple[float | None, str]:
    """Return the joules of all ranks' GPUs, or null where one does not know, and why."""
    if meter.energy is None:
        return None, "nothing trained"
    device, joules = trainer.strategy.root_device, meter.energy.joules
    missing, total = summed(int(joules is None), device), summed(round(1000 * (joules or 0)), device)
    if missing:
        return None, meter.energy.status if joules is None else "not known on another rank"
    return total / 1000, "ok"
