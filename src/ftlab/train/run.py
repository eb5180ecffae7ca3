"""Run of one experiment, from its configuration to its record."""

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

from ftlab import methods, models, trackers
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.signals import StopSignals
from ftlab.data.base import DataModule
from ftlab.data.build import build_data, micro_batch_tokens
from ftlab.data.mixture import MixtureData
from ftlab.data.prompting import demonstrations
from ftlab.evaluation import latency
from ftlab.methods.base import TuningMethod
from ftlab.record import Check, Progress, RunRecord
from ftlab.record.checkpoints import FOLDER, ResumePoint, newest_resume_point
from ftlab.record.environment import this_process
from ftlab.record.folder import ADAPTER
from ftlab.record.plans import read_plan
from ftlab.tasks.base import TaskModule
from ftlab.train import budget, record_fields
from ftlab.train.artifacts import check_reload, input_excerpts, probe_logits, save_adapter, write_predictions
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.time_budget import TimeBudget
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.length import TrainingLength
from ftlab.train.profile import estimate_cost
from ftlab.train.recorder import Recorder, record_of_attempt
from ftlab.train.setup import prepare_run
from ftlab.train.trainer import build_trainer, trained_model


def run(config: RunConfig, directory: Path, command: list[str], stop: StopSignals | None = None) -> RunRecord:
    """Run one experiment in this process and leave everything it produced in `directory`.

    If the folder has checkpoints of an earlier attempt, training resumes from the newest.

    Args:
        config: validated configuration.
        directory: the run's folder; gets record.json, metrics.csv, predictions.parquet, adapter/ and logs/.
        command: the command line of the run, for the record.
        stop: receives the signals that tell this process to stop; None: signals are not handled.

    Raises:
        UserError: anything the user can fix. Any exception is in the record before it is raised here.
    """
    # Lightning starts the other ranks of a node and sets LOCAL_RANK
    rank = int(os.environ.get("NODE_RANK", "0")) * config.hardware.devices + int(os.environ.get("LOCAL_RANK", "0"))
    recorder = Recorder(record_of_attempt(config, directory, command), directory, active=rank == 0)
    with ExitStack() as exit_stack, recorder.record_outcome():
        failed_attempts = recorder.record.out_of_memory
        config = config.with_smaller_micro_batches(len(failed_attempts), micro_batch_tokens(config))
        recorder.update(micro_batch_size=config.micro_batch_size, micro_batch_tokens=micro_batch_tokens(config))
        estimate = read_plan(directory.parent).get(directory.name)
        if estimate is not None and estimate.micro_batch_size == config.micro_batch_size:
            recorder.update(predicted=estimate)
        if failed_attempts:
            recorder.warn(
                f"out of memory with a micro-batch size of {failed_attempts[-1].micro_batch_size}: continuing with "
                f"{config.micro_batch_size}, and {config.optim.accumulate} micro-batches per step; the step is the same"
            )
        _experiment(config, directory, recorder, rank, exit_stack, stop)
    if rank == 0:
        shutil.rmtree(directory / FOLDER, ignore_errors=True)  # the adapter holds the best checkpoint
    return recorder.record


def _experiment(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    rank: int,
    exit_stack: ExitStack,
    stop: StopSignals | None,
) -> None:
    if config.hardware.threads is not None:
        torch.set_num_threads(config.hardware.threads)
    method = methods.build_method(config.method)
    datamodule = build_data(config, rank)
    for note in datamodule.origin.notes:
        recorder.log(note)
    architecture = models.architecture(config.model)
    task = method.pose_task(datamodule.task, architecture, config.loss)
    start = newest_resume_point(directory / FOLDER, recorder.warn)
    if start:
        recorder.update(resumed_at=[*recorder.record.resumed_at, start.step])
        recorder.log(f"resuming after step {start.step}")
    loggers: list[Logger] = []
    if rank == 0:
        resume_step = start.step if start else 0
        loggers = trackers.build_loggers(config, recorder.record, directory, recorder.warn, resume_step=resume_step)
    # called after the outcome is recorded
    exit_stack.callback(lambda: trackers.finish_run(loggers, recorder.record, directory))
    expected = _train_and_save(config, directory, recorder, method, datamodule, task, loggers, start, stop)
    if rank == 0 and config.plan is not True and config.search.role == "run":
        assert expected is not None
        reload = _check_reload(config, directory, method, datamodule, task, expected)
        recorder.update(checks={**recorder.record.checks, "reload": reload})
        not_passed = [(name, check) for name, check in recorder.record.checks.items() if check.status != "passed"]
        recorder.warn(*(shorten(f"{name} {check.status}: {check.detail}", width=300) for name, check in not_passed))


def _train_and_save(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    method: TuningMethod,
    datamodule: DataModule | MixtureData,
    task: Task,
    loggers: list[Logger],
    start: ResumePoint | None,
    stop: StopSignals | None,
) -> torch.Tensor | None:
    """Load, train, test and save; return the trained model's logits of the probe batch. The model is freed on return.

    Return None if nothing is saved: for a plan and for a trial.
    """
    setup = prepare_run(config, directory, recorder, method, datamodule, task, start, stop)
    module, length, meter, time_budget = setup.module, setup.length, setup.meter, setup.time_budget
    speedups = [*setup.cls_only_last_block, *setup.quick_dropout]
    if config.plan is True:  # estimate the cost from a few steps; no results
        assert isinstance(datamodule, DataModule)
        recorder.update(predicted=estimate_cost(config, datamodule, module, length, directory, speedups))
        return None
    check = TrainingCheck(module.trainable)
    others = [*speedups, *setup.robustness, *([time_budget] if time_budget else [])]
    trainer = build_trainer(
        hardware=config.hardware,
        patience=config.budget.patience,
        optim=config.optim,
        task=task,
        length=length,
        directory=directory,
        loggers=loggers,
        callbacks=[
            setup.resume_points,
            *setup.generation,
            meter,
            *setup.frozen_prefix,
            check,
            *others,
            *method.callbacks(),
        ],
        find_unused_parameters=method.find_unused_parameters,
    )
    recorder.progress = _progress_reader(module, length, meter, trainer, time_budget)
    seed_everything(config.seed, verbose=False)  # equal dropout, however many random numbers the method has drawn
    setup_s = time.time() - this_process().started_at  # includes imports, reading and loading
    best = None
    if module.trainable:
        trainer.fit(module, datamodule=datamodule, ckpt_path=start.path if start else None, weights_only=True)
        checkpoint = trainer.checkpoint_callback
        assert isinstance(checkpoint, ModelCheckpoint)
        best = checkpoint.best_model_path or None  # best by the task's monitor
    else:  # a baseline without training
        trainer.validate(module, datamodule=datamodule, verbose=False)
    if config.search.role == "run":  # a trial must not see the test split
        trainer.test(module, datamodule=datamodule, ckpt_path=best, weights_only=True, verbose=False)
    cost = record_fields.cost(
        meter,
        setup.resume_points,
        setup_s,
        trainer,
        setup.base_bytes,
        setup.work,
        setup.frozen_prefix,
        setup.cls_only_last_block,
    )
    recorder.update(
        metrics=record_fields.metrics(module.results, task),
        samples=[sample for callback in setup.generation for sample in callback.samples],
        cost=cost,
        budget=budget.used_budget(config, cost, train_rows=datamodule.rows["train"], method=method, work=setup.work),
        checks=check.checks() if module.trainable else {},
    )
    for callback in setup.robustness:
        recorder.update(robustness=callback.result, checks={**recorder.record.checks, **callback.checks})
        recorder.warn(*callback.warnings)
    if config.search.role == "trial":
        recorder.progress, datamodule.trainer = None, None
        return None
    trained = trained_model(trainer, module)
    expected = None if trained is None else probe_logits(method, trained, datamodule.probe_batch())
    if trainer.is_global_zero:
        assert trained is not None
        size = save_adapter(method, trained, directory, module.trainable)
        size += demonstrations.save(datamodule.demonstrations, directory / ADAPTER)
        recorder.update(parameters=setup.parameters.model_copy(update={"adapter_bytes": size}))
        # with demonstrations, all inputs begin alike
        texts = None if task.shots else input_excerpts(setup.tokenizer, datamodule.test_dataloader())
        ids = datamodule.example_ids("test")
        write_predictions(module.predictions, ids, directory, task=task.name, split="test", texts=texts)
        if config.hardware.measure_latency and config.hardware.strategy != "fsdp":  # not of a sharded model
            measured = latency.measure_latency(
                method, trained, datamodule, trainer.strategy, quantised=config.quant.name != "none"
            )
            assert recorder.record.cost is not None
            recorder.update(cost=recorder.record.cost.model_copy(update={"latency": measured}))
    recorder.progress, datamodule.trainer = None, None  # both reference the model
    return expected


def _progress_reader(
    module: TaskModule[Any], length: TrainingLength, meter: CostMeter, trainer: Trainer, time_budget: TimeBudget | None
) -> Callable[[], Progress]:
    """Return a function that reads the progress of training; another thread calls it, so it reads plain values only."""
    monitor = module.task.kind.monitor.removeprefix("val/")
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)

    def read() -> Progress:
        metric = module.results.get("val", {}).get(monitor)
        validated, best = metric.value if metric else None, checkpoint.best_model_score
        loss, steps = module.last_loss, length.steps
        if steps is None:  # extrapolate
            done = time_budget.fraction_used if time_budget else 0.0
            steps = round(trainer.global_step / done) if done else trainer.global_step
        return Progress(
            step=trainer.global_step,
            steps=steps,
            loss=float(loss) if loss is not None else None,
            validated=validated,
            validated_at=module.validated_at,
            best=validated if best is None else float(best),
            peak_memory_bytes=meter.memory.so_far() if meter.memory else None,
        )

    return read


def _check_reload(
    config: RunConfig,
    directory: Path,
    method: TuningMethod,
    datamodule: DataModule | MixtureData,
    task: Task,
    expected: torch.Tensor,
) -> Check:
    def restore() -> nn.Module:
        seed_everything(config.seed + 1, verbose=False)  # equal logits must come from the file, not from the seed
        fresh = models.load_base_model(config.model, task, config.quant)
        return method.restore(fresh, task, directory / ADAPTER)

    try:
        return check_reload(method, restore, datamodule.probe_batch(), expected)
    except Exception as error:  # not fatal: the run itself is finished and saved
        return Check(status="skipped", detail=f"{type(error).__name__}: {error}")
