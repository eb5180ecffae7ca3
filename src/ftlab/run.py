"""One experiment, from a configuration to a record."""

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten

import psutil
import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import nn

from ftlab import data, methods, models, tasks, trackers
from ftlab.artifacts import ADAPTER, check_reload, probe, save_adapter, write_predictions
from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.sanity import TrainingCheck
from ftlab.data import demonstrations
from ftlab.data.base import DataModule
from ftlab.environment import cpu_name, this_process
from ftlab.errors import UserError
from ftlab.fingerprint import fingerprint
from ftlab.methods.base import TuningMethod
from ftlab.models.size import parameter_count
from ftlab.optim import optimizer_maker
from ftlab.record import Check, Cost, Data, Hardware, RunRecord
from ftlab.recorder import Recorder, first_record
from ftlab.schema import RunConfig
from ftlab.tasks.spec import Task
from ftlab.trainer import accelerator, build_trainer, plan, precision


def run(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Run one experiment in this process and leave everything it produced in `directory`.

    Args:
        config: validated configuration.
        directory: the run's own folder; gets record.json, metrics.csv, predictions.parquet, adapter/ and logs/.
        command: the command line behind the run, for the record.

    Raises:
        UserError: whatever the user can mend. Any exception is in the record by the time it arrives here.
    """
    # Lightning starts the other ranks of a node and numbers them
    rank = int(os.environ.get("NODE_RANK", "0")) * config.hardware.devices + int(os.environ.get("LOCAL_RANK", "0"))
    recorder = Recorder(first_record(config, directory, command), directory, active=rank == 0)
    with ExitStack() as at_the_end, recorder.watching():
        _experiment(config, directory, recorder, rank, at_the_end)
    return recorder.record


def _experiment(config: RunConfig, directory: Path, recorder: Recorder, rank: int, at_the_end: ExitStack) -> None:
    if config.hardware.threads is not None:
        torch.set_num_threads(config.hardware.threads)
    method = methods.build(config.method)
    rows = data.build(
        config.dataset,
        budget=config.budget,
        max_length=config.max_length,
        seed=config.seed,
        micro_batch_size=config.micro_batch_size,
        eval_batch_size=config.hardware.eval_batch_size,
        num_workers=config.hardware.num_workers,
        rank=rank,
        world_size=config.hardware.world_size,
    )
    architecture = models.architecture(config.model)
    task = method.adapt_task(rows.task.on(architecture), architecture)
    loggers = trackers.build(config, recorder.record, directory) if rank == 0 else []
    at_the_end.callback(lambda: trackers.finish(loggers, recorder.record))  # how it ended is in the record by then
    at_the_end.callback(shutil.rmtree, directory / "checkpoints", ignore_errors=True)  # the adapter holds the best one
    expected = _train_and_save(config, directory, recorder, method, rows, task, loggers)
    if rank == 0:
        reload = _check_reload(config, directory, method, rows, task, expected)
        recorder.update(checks={**recorder.record.checks, "reload": reload})
        doubts = [(name, check) for name, check in recorder.record.checks.items() if check.status != "passed"]
        recorder.warn(*(shorten(f"{name} {check.status}: {check.detail}", width=300) for name, check in doubts))


def _train_and_save(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    method: TuningMethod,
    rows: DataModule,
    task: Task,
    loggers: list[Logger],
) -> torch.Tensor:
    """Load, train, test and save; return the trained model's probe logits. The model is gone when this returns."""
    seed_everything(config.seed, verbose=False)  # before head and adapter are made: equal heads for equal seeds
    base = models.load(config.model, task, config.quant)
    base_bytes = models.base_weight_bytes(base.model)
    _require_room(config, base, method)
    start = getattr(base.model.config, "decoder_start_token_id", None)
    rows.tokenize(base.tokenizer, model=config.model.name, task=task, decoder_start=start)
    length = plan(config.budget, batches_per_epoch=rows.batches_per_epoch, accumulate=config.optim.accumulate)
    model = method.apply(base, task)
    module = tasks.build(task, model, method, optimizer_maker(config.optim, total_steps=length.steps))
    if method.needs_training and not module.trainable:
        raise UserError(
            f"method={config.method.name} trains nothing on model={config.model.name}: choose another method."
        )
    parameters = parameter_count(model)
    recorder.update(
        fingerprint=fingerprint(config, data_hash=rows.hash, base_hash=base.identity["sha256"]),
        base_model=base.identity,
        hardware=_hardware(config),
        data=_data(rows, task),
        parameters=parameters,
        trainable=module.trainable,
        columns=list(task.columns),
    )
    recorder.warn(*rows.warnings)
    recorder.say(
        f"{parameters.trainable:,} of {parameters.total:,} parameters train "
        f"({parameters.trainable / parameters.total:.2%}), {length.steps} steps of {config.optim.batch_size} examples"
        if module.trainable
        else "nothing trains: the model is measured as it is"
    )

    meter, check = CostMeter(), TrainingCheck(module.trainable)
    trainer = build_trainer(
        hardware=config.hardware,
        patience=config.budget.patience,
        optim=config.optim,
        task=task,
        plan=length,
        directory=directory,
        loggers=loggers,
        callbacks=[meter, check, *method.callbacks()],
        skips_parameters=method.skips_parameters,
    )
    recorder.step = lambda: trainer.global_step
    seed_everything(config.seed, verbose=False)  # one stream of dropout, whatever a method drew for its init
    setup_s = time.time() - this_process().started_at  # imports, reading and loading included
    best = None
    if module.trainable:
        trainer.fit(module, datamodule=rows)
        checkpoint = trainer.checkpoint_callback
        assert isinstance(checkpoint, ModelCheckpoint)
        best = checkpoint.best_model_path or None  # of the validation that the task's monitor liked best
    else:  # a floor, measured as it is
        trainer.validate(module, datamodule=rows, verbose=False)
    trainer.test(module, datamodule=rows, ckpt_path=best, weights_only=True, verbose=False)
    recorder.update(
        metrics={task.name: module.results},
        cost=_cost(meter, setup_s, trainer.global_step, config, base_bytes),
        checks=check.checks() if module.trainable else {},
    )
    expected = probe(method, module.model, rows.probe_batch())
    if trainer.is_global_zero:
        size = save_adapter(method, module.model, directory, module.trainable)
        size += demonstrations.save(rows.demonstrations, directory / ADAPTER)
        recorder.update(parameters=parameters.model_copy(update={"adapter_bytes": size}))
        write_predictions(module.predictions, rows.example_ids("test"), directory, task=task.name, split="test")
    recorder.step, rows.trainer = None, None  # both lead to the model
    return expected


def _require_room(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Refuse examples that do not fit beside what the method puts before them; the positions would run out."""
    positions, added = models.position_count(base.model), method.added_positions
    if added and positions is not None and config.max_length + added > positions:
        raise UserError(
            f"model={config.model.name} sees {positions} positions, method={config.method.name} takes {added} of them, "
            f"and max_length is {config.max_length}: set budget.max_length={positions - added}, or fewer virtual "
            "tokens."
        )


def _check_reload(
    config: RunConfig, directory: Path, method: TuningMethod, rows: DataModule, task: Task, expected: torch.Tensor
) -> Check:
    def restore() -> nn.Module:
        seed_everything(config.seed + 1, verbose=False)  # so that equal logits come from the file, not from the seed
        fresh = models.load(config.model, task, config.quant)
        return method.restore(fresh, task, directory / ADAPTER)

    try:
        return check_reload(method, restore, rows.probe_batch(), expected)
    except Exception as error:  # the run itself is done and saved: that it could not be proven is said, not fatal
        return Check(status="skipped", detail=f"{type(error).__name__}: {error}")


def _hardware(config: RunConfig) -> Hardware:
    kind = accelerator(config.hardware)
    return Hardware(
        device=torch.cuda.get_device_name() if kind == "gpu" else kind,
        accelerator=kind,
        devices=config.hardware.world_size,
        precision=precision(config.hardware, kind),
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )


def _data(rows: DataModule, task: Task) -> Data:
    return Data(
        hash=rows.hash,
        rows=rows.rows,
        dropped=rows.dropped,
        unknown_token_share=rows.unknown_token_share,
        truncated_share=rows.truncated_share,
        labels=list(task.labels),
    )


def _cost(meter: CostMeter, setup_s: float, steps: int, config: RunConfig, base_bytes: int) -> Cost:
    examples, tokens = (count * config.hardware.world_size for count in (meter.examples, meter.tokens))
    memory = meter.memory  # None: nothing was trained
    return Cost(
        setup_s=setup_s,
        train_s=meter.train_s,
        eval_s=meter.eval_s,
        optimizer_steps=steps,
        examples_seen=examples,
        tokens_seen=tokens,
        examples_per_s=examples / meter.train_s if meter.train_s else None,
        tokens_per_s=tokens / meter.train_s if meter.train_s else None,
        peak_memory_bytes=meter.peak_memory,
        baseline_memory_bytes=memory.baseline if memory else None,
        peak_memory_source=memory.source if memory else "nothing trained",
        base_weight_bytes=base_bytes,
    )
