"""One experiment, from a configuration to a record."""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import nn

from ftlab import budgets, checkpoints, findings, latency, methods, models, trackers
from ftlab.artifacts import ADAPTER, beginnings, check_reload, probe, save_adapter, write_predictions
from ftlab.callbacks.clock import TimeBudget
from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.sanity import TrainingCheck
from ftlab.data import demonstrations
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.data.run_data import micro_batch_tokens, of_run
from ftlab.environment import this_process
from ftlab.methods.base import TuningMethod
from ftlab.preparing import prepare
from ftlab.probing import probe_steps
from ftlab.record import Check, Progress, RunRecord
from ftlab.record.plans import read_plan
from ftlab.recorder import Recorder, begun
from ftlab.schema import RunConfig
from ftlab.stopping import StopSignals
from ftlab.tasks.base import TaskModule
from ftlab.tasks.spec import Task
from ftlab.trainer import Plan, build_trainer, trained_model


def run(config: RunConfig, directory: Path, command: list[str], stop: StopSignals | None = None) -> RunRecord:
    """Run one experiment in this process and leave everything it produced in `directory`.

    Where checkpoints of an earlier attempt lie in the folder, training goes on from the newest.

    Args:
        config: validated configuration.
        directory: the run's own folder; gets record.json, metrics.csv, predictions.parquet, adapter/ and logs/.
        command: the command line behind the run, for the record.
        stop: hears the signals that tell this process to stop; None: nobody does.

    Raises:
        UserError: whatever the user can mend. Any exception is in the record by the time it arrives here.
    """
    # Lightning starts the other ranks of a node and numbers them
    rank = int(os.environ.get("NODE_RANK", "0")) * config.hardware.devices + int(os.environ.get("LOCAL_RANK", "0"))
    recorder = Recorder(begun(config, directory, command), directory, active=rank == 0)
    with ExitStack() as at_the_end, recorder.watching():
        tried = recorder.record.out_of_memory
        used = config.with_smaller_micro_batches(len(tried), micro_batch_tokens(config))
        recorder.update(micro_batch_size=used.micro_batch_size, micro_batch_tokens=micro_batch_tokens(used))
        planned = read_plan(directory.parent).get(directory.name)
        if planned is not None and planned.micro_batch_size == used.micro_batch_size:
            recorder.update(predicted=planned)
        if tried:
            recorder.warn(
                f"out of memory with {tried[-1].micro_batch_size} examples at a time: {used.micro_batch_size} at a "
                f"time, {used.optim.accumulate} times per step; the step is the same."
            )
        _experiment(used, directory, recorder, rank, at_the_end, stop)
    if rank == 0:
        shutil.rmtree(directory / checkpoints.FOLDER, ignore_errors=True)  # the adapter holds the best one
    return recorder.record


def _experiment(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    rank: int,
    at_the_end: ExitStack,
    stop: StopSignals | None,
) -> None:
    if config.hardware.threads is not None:
        torch.set_num_threads(config.hardware.threads)
    method = methods.build(config.method)
    rows = of_run(config, rank)
    for note in rows.origin.notes:
        recorder.say(note)
    architecture = models.architecture(config.model)
    task = method.adapt_task(rows.task.on(architecture), architecture).with_loss(config.loss)
    start = checkpoints.newest(directory / checkpoints.FOLDER, recorder.warn)
    if start:
        recorder.update(resumed_at=[*recorder.record.resumed_at, start.step])
        recorder.say(f"going on after step {start.step}")
    loggers: list[Logger] = []
    if rank == 0:
        done = start.step if start else 0
        loggers = trackers.build(config, recorder.record, directory, recorder.warn, done=done)
    # how it ended is in the record by then
    at_the_end.callback(lambda: trackers.finish(loggers, recorder.record, directory))
    expected = _train_and_save(config, directory, recorder, method, rows, task, loggers, start, stop)
    if rank == 0 and config.plan is not True and config.search.role == "run":
        assert expected is not None
        reload = _check_reload(config, directory, method, rows, task, expected)
        recorder.update(checks={**recorder.record.checks, "reload": reload})
        doubts = [(name, check) for name, check in recorder.record.checks.items() if check.status != "passed"]
        recorder.warn(*(shorten(f"{name} {check.status}: {check.detail}", width=300) for name, check in doubts))


def _train_and_save(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    method: TuningMethod,
    rows: DataModule | MixtureData,
    task: Task,
    loggers: list[Logger],
    start: checkpoints.ResumePoint | None,
    stop: StopSignals | None,
) -> torch.Tensor | None:
    """Load, train, test and save; return the trained model's probe logits. The model is gone when this returns.

    Nothing is returned where there is nothing to restore: of a plan, and of a trial.
    """
    ready = prepare(config, directory, recorder, method, rows, task, start, stop)
    module, length, meter = ready.module, ready.length, ready.meter
    if config.plan is True:  # this process tries a few steps, and no result comes of it
        assert isinstance(rows, DataModule)
        recorder.update(predicted=probe_steps(config, rows, module, length, directory, [*ready.last, *ready.quick]))
        return None
    check = TrainingCheck(module.trainable)
    others = [*ready.last, *ready.quick, *ready.examined, *([ready.clock] if ready.clock else [])]
    trainer = build_trainer(
        hardware=config.hardware,
        patience=config.budget.patience,
        optim=config.optim,
        task=task,
        plan=length,
        directory=directory,
        loggers=loggers,
        callbacks=[ready.points, *ready.written, meter, *ready.trunk, check, *others, *method.callbacks()],
        skips_parameters=method.skips_parameters,
    )
    recorder.progress = _progress(module, length, meter, trainer, ready.clock)
    seed_everything(config.seed, verbose=False)  # one stream of dropout, whatever a method drew for its init
    setup_s = time.time() - this_process().started_at  # imports, reading and loading included
    best = None
    if module.trainable:
        trainer.fit(module, datamodule=rows, ckpt_path=start.path if start else None, weights_only=True)
        checkpoint = trainer.checkpoint_callback
        assert isinstance(checkpoint, ModelCheckpoint)
        best = checkpoint.best_model_path or None  # of the validation that the task's monitor liked best
    else:  # a floor, measured as it is
        trainer.validate(module, datamodule=rows, verbose=False)
    if config.search.role == "run":  # a trial is for choosing: the test split has no part in that
        trainer.test(module, datamodule=rows, ckpt_path=best, weights_only=True, verbose=False)
    cost = findings.cost(meter, ready.points, setup_s, trainer, ready.base_bytes, ready.work, ready.trunk, ready.last)
    recorder.update(
        metrics=findings.metrics(module.results, task),
        samples=[sample for callback in ready.written for sample in callback.samples],
        cost=cost,
        budget=budgets.spent(config, cost, rows=rows.rows["train"], method=method, work=ready.work),
        checks=check.checks() if module.trainable else {},
    )
    for one in ready.examined:
        recorder.update(robustness=one.found, checks={**recorder.record.checks, **one.checks})
        recorder.warn(*one.warnings)
    if config.search.role == "trial":
        recorder.progress, rows.trainer = None, None
        return None
    trained = trained_model(trainer, module)
    expected = None if trained is None else probe(method, trained, rows.probe_batch())
    if trainer.is_global_zero:
        assert trained is not None
        size = save_adapter(method, trained, directory, module.trainable)
        size += demonstrations.save(rows.demonstrations, directory / ADAPTER)
        recorder.update(parameters=ready.parameters.model_copy(update={"adapter_bytes": size}))
        texts = None if task.shots else beginnings(ready.tokenizer, rows.test_dataloader())  # shots stand ahead of all
        ids = rows.example_ids("test")
        write_predictions(module.predictions, ids, directory, task=task.name, split="test", texts=texts)
        if config.hardware.measure_latency and config.hardware.strategy != "fsdp":  # there, this is no whole model
            took = latency.measure(method, trained, rows, trainer.strategy, quantised=config.quant.name != "none")
            assert recorder.record.cost is not None
            recorder.update(cost=recorder.record.cost.model_copy(update={"latency": took}))
    recorder.progress, rows.trainer = None, None  # both lead to the model
    return expected


def _progress(
    module: TaskModule[Any], length: Plan, meter: CostMeter, trainer: Trainer, clock: TimeBudget | None
) -> Callable[[], Progress]:
    """Return what tells how far training is; it is asked from another thread, so it reads plain values alone."""
    watched = module.task.monitor.removeprefix("val/")
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)

    def tell() -> Progress:
        seen = module.results.get("val", {}).get(watched)
        validated, best = seen.value if seen else None, checkpoint.best_model_score
        loss, steps = module.last_loss, length.steps
        if steps is None:  # as it looks now
            steps = round(trainer.global_step / clock.share) if clock and clock.share else trainer.global_step
        return Progress(
            step=trainer.global_step,
            steps=steps,
            loss=float(loss) if loss is not None else None,
            validated=validated,
            validated_at=module.validated_at,
            best=validated if best is None else float(best),
            peak_memory_bytes=meter.memory.so_far() if meter.memory else None,
        )

    return tell


def _check_reload(
    config: RunConfig,
    directory: Path,
    method: TuningMethod,
    rows: DataModule | MixtureData,
    task: Task,
    expected: torch.Tensor,
) -> Check:
    def restore() -> nn.Module:
        seed_everything(config.seed + 1, verbose=False)  # so that equal logits come from the file, not from the seed
        fresh = models.load(config.model, task, config.quant)
        return method.restore(fresh, task, directory / ADAPTER)

    try:
        return check_reload(method, restore, rows.probe_batch(), expected)
    except Exception as error:  # the run itself is done and saved: that it could not be proven is said, not fatal
        return Check(status="skipped", detail=f"{type(error).__name__}: {error}")
