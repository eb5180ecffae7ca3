"""Record fields that a run fills in: hardware, data, metrics and cost."""

import os

import psutil
import torch
from lightning.pytorch import Trainer

from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.models.devices import accelerator, precision
from ftlab.models.flops import MatmulParams, inference_flops
from ftlab.record import Cost, Data, Hardware, Metric, MixturePart
from ftlab.record.environment import cpu_name
from ftlab.train.callbacks.cost import CostMeter, all_reduce_sum
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock
from ftlab.train.speedups.frozen_prefix_cache import FrozenPrefixCache


def hardware(config: RunConfig) -> Hardware:
    """Return the hardware of this run."""
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
    """Return task -> split -> name -> metric; metrics of a mixture's parts are under the part's name."""
    by_task: dict[str, dict[str, dict[str, Metric]]] = {task.name: {}}
    parts = {name for name, _ in task.parts}
    for split, named in results.items():
        for name, metric in named.items():
            part, _, part_metric = name.partition("/")
            task_name, metric_name = (part, part_metric) if part in parts else (task.name, name)
            by_task.setdefault(task_name, {}).setdefault(split, {})[metric_name] = metric
    return by_task


def _parts(datamodule: DataModule | MixtureData, task: Task) -> dict[str, MixturePart]:
    if not isinstance(datamodule, MixtureData):
        return {}
    return {
        name: MixturePart(
            task=part_task.name,
            predicts=part_task.kind.predicts,
            share=datamodule.sampling_probabilities[name],
            rows=datamodule.parts[name].rows,
            columns=dict(datamodule.parts[name].origin.columns),
            unknown_token_share=datamodule.parts[name].unknown_token_share,
            truncated_share=datamodule.parts[name].truncated_share,
            labels=list(part_task.labels),
            target_means=list(part_task.target_means),
            target_scales=list(part_task.target_scales),
        )
        for name, part_task in task.parts
    }


def data(datamodule: DataModule | MixtureData, task: Task) -> Data:
    """Return the properties of the data; they must be tokenized."""
    return Data(
        hash=datamodule.hash,
        rows=datamodule.rows,
        columns=dict(datamodule.origin.columns),
        notes=list(datamodule.origin.notes),
        dropped=datamodule.dropped,
        unknown_token_share=datamodule.unknown_token_share,
        truncated_share=datamodule.truncated_share,
        labels=list(task.labels),
        target_means=list(task.target_means),
        target_scales=list(task.target_scales),
        parts=_parts(datamodule, task),
    )


def cost(
    meter: CostMeter,
    resume_points: ResumePoints,
    setup_s: float,
    trainer: Trainer,
    base_bytes: int,
    work: MatmulParams,
    frozen_prefix: list[FrozenPrefixCache],
    cls_only_last_block: list[ClsOnlyLastBlock],
) -> Cost:
    """Return the cost of the run; every rank must call this.

    Args:
        meter: has measured training and evaluation.
        resume_points: has measured the saving of checkpoints, which is not training.
        setup_s: seconds before training.
        trainer: has trained.
        base_bytes: size of the base's weights in memory.
        work: the parameters that take part in each training token's arithmetic.
        frozen_prefix: has skipped the frozen layers for some tokens; optional.
        cls_only_last_block: has skipped the last block for all tokens but the first; optional.
    """
    counts, device = (meter.examples, meter.tokens, meter.positions), trainer.strategy.root_device
    examples, tokens, positions = (all_reduce_sum(count, device) for count in counts)
    skipped_flops = sum(
        inference_flops(cache.skipped_params, all_reduce_sum(cache.skipped_tokens, device)) for cache in frozen_prefix
    ) + sum(callback.skipped_work.flops(tokens - examples) for callback in cls_only_last_block)
    train_s = meter.train_s - resume_points.saving_s
    memory = meter.memory  # None: nothing was trained
    joules, energy_status = _energy(meter, trainer)
    return Cost(
        setup_s=setup_s,
        train_s=train_s,
        train_cpu_s=meter.train_cpu_s,
        training_flops=work.flops(tokens),
        spared_flops=skipped_flops,
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
        energy_status=energy_status,
    )


def _energy(meter: CostMeter, trainer: Trainer) -> tuple[float | None, str]:
    """Return the joules of all ranks' GPUs and the status; None if any rank does not know."""
    if meter.energy is None:
        return None, "nothing trained"
    device, joules = trainer.strategy.root_device, meter.energy.joules
    missing, total = all_reduce_sum(int(joules is None), device), all_reduce_sum(round(1000 * (joules or 0)), device)
    if missing:
        return None, meter.energy.status if joules is None else "not known on another rank"
    return total / 1000, "ok"
