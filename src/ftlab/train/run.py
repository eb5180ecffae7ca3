"""Run of one experiment, from its configuration to its record."""

import gc
import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import Logger
from torch import nn
from transformers import PreTrainedTokenizerBase

from ftlab import models, trackers
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import clause
from ftlab.core.phase_clock import PhaseClock
from ftlab.core.run_stage import Stage
from ftlab.core.signals import Paused, StopSignals
from ftlab.data.excerpts import excerpts_of_tests
from ftlab.data.prompting import demonstrations
from ftlab.evaluation import latency
from ftlab.methods.work import TrainingWork
from ftlab.models.devices import find_devices, process_rank
from ftlab.record import Check, CheckStatus, RunRecord
from ftlab.record.checkpoints import FOLDER
from ftlab.record.environment import this_process
from ftlab.record.folder import ADAPTER, PREDICTIONS
from ftlab.tasks.base import TaskModule
from ftlab.train import record_fields
from ftlab.train.artifacts import (
    ReloadFailed,
    check_reload,
    probe_logits,
    save_adapter,
    write_predictions,
)
from ftlab.train.budget import build_time_budget, pause_step, run_length, used_budget
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.progress import ProgressLines, StageReporter, progress_reader
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.callbacks.step_metrics import StepMetrics
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.profile import estimate_cost
from ftlab.train.recorder import Recorder, record_of_attempt, status_of
from ftlab.train.reference_model import load_reference
from ftlab.train.setup import (
    RunSetup,
    build_evaluations,
    build_module,
    build_val_predictions,
    load_base,
    ready_training,
    record_setup,
    set_up_run,
    switch_off_frozen_dropout,
)
from ftlab.train.speedups import build_speedups
from ftlab.train.trainer import best_checkpoint, build_trainer, early_stopping, trained_model


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
    rank = process_rank(config.hardware)
    recorder = Recorder(record_of_attempt(config, directory, command), directory, active=rank == 0)
    with ExitStack() as exit_stack, recorder.record_outcome():
        setup = set_up_run(config, directory, find_devices(config.hardware), recorder)
        loggers = _loggers(setup)
        exit_stack.callback(lambda: trackers.finish_run(loggers, recorder.record, directory))  # after the outcome
        logits = _train_and_save(setup, loggers, stop)
        recorder.progress, setup.datamodule.trainer = None, None  # both reference the model, which is freed here
        if logits is not None:
            _check_reload(setup, logits)
    if rank == 0 and recorder.record.status == "completed":
        shutil.rmtree(directory / FOLDER, ignore_errors=True)  # the adapter holds the best checkpoint
    return recorder.record


def _loggers(setup: RunSetup) -> list[Logger]:
    if setup.devices.rank != 0:
        return []
    recorder = setup.recorder
    return trackers.build_loggers(
        setup.config, recorder.record, setup.directory, recorder.warn, resume_step=setup.start_step
    )


def _train_and_save(setup: RunSetup, loggers: list[Logger], stop: StopSignals | None) -> torch.Tensor | None:
    """Load, train, test, record and save; return the trained model's logits of the probe batch.

    Return None if nothing is saved: for a plan, for a trial, and on ranks other than 0.
    """
    config, directory, recorder = setup.config, setup.directory, setup.recorder
    method, datamodule, kind, accumulate = setup.method, setup.datamodule, setup.task.kind, config.optim.accumulate

    base = load_base(setup)
    tokenizer, base_bytes = base.tokenizer, models.base_weight_bytes(base.model)
    generation, robustness = build_evaluations(setup, base)
    if datamodule.source_of_tokens:
        datamodule.free_rows()  # batches are read from the cache
    model = method.apply(base, setup.task)
    reference = load_reference(setup, model)
    work = TrainingWork.of(config.method, method, model, reference)
    length = run_length(config.budget, datamodule, work, trains=method.needs_training)
    datamodule.set_batch_range(batches=length.batches, start=setup.start_step * accumulate)

    resume_points = ResumePoints(
        directory / FOLDER,
        every_s=config.sweep.checkpoint_s,
        accumulate=accumulate,
        start=setup.start,
        stop=stop,
        pause_step=pause_step(config.search.rung, length, recorder.warn) if method.needs_training else None,
    )
    clock = PhaseClock(synchronise=setup.devices.synchronise)
    meter = CostMeter(
        work, reference, clock=clock, base_weight_bytes=base_bytes, saving_s=lambda: resume_points.saving_s
    )
    time_budget = build_time_budget(config.budget, meter, accumulate=accumulate)
    module = build_module(setup, model, length, time_budget, reference)
    record_setup(setup, base, module, length)
    del base, model  # the module has the model; a method may have replaced that of the base
    switch_off_frozen_dropout(module, config.model)
    training = ready_training(setup, module, length)
    speedups = build_speedups(training)
    if config.plan is True:  # no results
        recorder.update(predicted=estimate_cost(training, length, speedups, generation))
        return None

    best = best_checkpoint(kind, directory)
    trainer = build_trainer(
        setup.devices,
        config.optim,
        length,
        directory,
        callbacks=[
            resume_points,
            meter,
            *speedups,
            TrainingCheck(module.trainable),
            generation,
            robustness,
            time_budget,
            StepMetrics(meter, batch_size=config.optim.batch_size, train_rows=datamodule.rows["train"]),
            *method.callbacks(),
            ProgressLines(),
            StageReporter(recorder.stages, time_budget),
            early_stopping(kind, config.budget.patience),
            build_val_predictions(setup, best),
            best,
        ],
        loggers=loggers,
        find_unused_parameters=method.find_unused_parameters,
    )
    recorder.progress = progress_reader(module, trainer, meter, time_budget, best)
    meter.setup_s = time.time() - this_process().started_at  # with imports, reading and loading
    seed_everything(config.seed, verbose=False)  # equal dropout, however many random numbers the method has drawn
    if module.trainable:
        checkpoint = setup.start.path if setup.start else None
        try:
            trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
        except Paused:  # what it has cost so far, and the metrics of the validation that ended the rung
            recorder.update(metrics=record_fields.metrics(module.results, setup.task), **meter.record_fields(trainer))
            raise
    else:  # a baseline without training
        trainer.validate(module, datamodule=datamodule, verbose=False)
    if not setup.is_trial:
        best_path = best.best_model_path or None  # best by the task's monitor; nothing trained: the model as it is
        trainer.test(module, datamodule=datamodule, ckpt_path=best_path, weights_only=True, verbose=False)
    _record_results(setup, trainer, module, work)
    return None if setup.is_trial else _save(setup, trainer, module, tokenizer)


def _record_results(setup: RunSetup, trainer: Trainer, module: TaskModule[Any], work: TrainingWork) -> None:
    """Record metrics, cost and what else the callbacks found; every rank must call this."""
    recorder = setup.recorder
    fields = record_fields.of_callbacks(trainer)
    warnings = fields.pop("warnings")
    used = used_budget(setup.config.budget, fields["cost"], work, train_rows=setup.datamodule.rows["train"])
    recorder.update(metrics=record_fields.metrics(module.results, setup.task), budget=used, **fields)
    recorder.warn(*warnings)


def _save(
    setup: RunSetup, trainer: Trainer, module: TaskModule[Any], tokenizer: PreTrainedTokenizerBase
) -> torch.Tensor | None:
    """Save the trained weights and the predictions; return the logits of the probe batch.

    Every rank must call this; those other than 0 save nothing and return None.
    """
    config, directory, recorder = setup.config, setup.directory, setup.recorder
    method, datamodule, task = setup.method, setup.datamodule, setup.task
    recorder.stages.begin(Stage.SAVING)
    trained = trained_model(trainer, module)
    if not trainer.is_global_zero:
        return None
    assert trained is not None
    logits = probe_logits(method, trained, datamodule.probe_batch())
    size = save_adapter(method, trained, directory, module.trainable)
    size += demonstrations.save(datamodule.demonstrations, directory / ADAPTER)
    assert recorder.record.parameters is not None
    recorder.update(parameters=recorder.record.parameters.model_copy(update={"adapter_bytes": size}))
    ids, excerpts = datamodule.example_ids("test"), excerpts_of_tests(datamodule, tokenizer)
    path = directory / PREDICTIONS
    write_predictions(module.predictions, ids, path, task=task.name, split="test", excerpts=excerpts)
    if config.hardware.measure_latency and not setup.devices.sharded:
        recorder.stages.begin(Stage.LATENCY, latency.MEASUREMENTS)
        measured = latency.measure_latency(
            method,
            trained,
            datamodule,
            trainer.strategy,
            quantised=config.quant.name != "none",
            advance=recorder.stages.advance,
        )
        assert recorder.record.cost is not None
        recorder.update(cost=recorder.record.cost.model_copy(update={"latency": measured}))
    return logits


def _check_reload(setup: RunSetup, expected: torch.Tensor) -> None:
    """Record whether the saved weights, loaded onto a fresh base, compute the logits of the trained model.

    Raises:
        ReloadFailed: they do not, or cannot be loaded; metrics, predictions and weights stay as they are.
    """
    config, recorder = setup.config, setup.recorder
    recorder.stages.begin(Stage.CHECKING)
    reload = _reload_check(setup, expected)
    recorder.update(checks={**recorder.record.checks, "reload": reload})
    not_passed = [(name, check) for name, check in recorder.record.checks.items() if check.status != "passed"]
    recorder.warn(*(shorten(f"{name} {check.status}: {check.detail}", width=300) for name, check in not_passed))
    if reload.status == "failed":
        raise ReloadFailed(
            f"what method={config.method.name} saved does not restore the model that it trained on "
            f"model={config.model.name} ({clause(reload.detail)}): its metrics cannot be reproduced, so it "
            "is not compared; use another method or model, and please report it."
        )


def _reload_check(setup: RunSetup, expected: torch.Tensor) -> Check:
    config, method = setup.config, setup.method
    seed_everything(config.seed + 1, verbose=False)  # equal logits must come from the file, not from the seed
    gc.collect()  # the trained model, before a second one is loaded
    try:
        fresh = models.load_base_model(config.model, setup.task, config.quant)
    except Exception as error:  # a base that is gone, or too little memory, says nothing about the saved weights
        return Check(status="skipped", detail=f"{type(error).__name__}: {error}")

    def restore() -> nn.Module:
        return method.restore(fresh, setup.task, setup.directory / ADAPTER)

    try:
        return check_reload(method, restore, setup.datamodule.probe_batch(), expected)
    except Exception as error:
        status: CheckStatus = "skipped" if status_of(error) == "oom" else "failed"
        return Check(status=status, detail=f"{type(error).__name__}: {error}")
