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

from ftlab import checkpoints, data, findings, methods, models, tasks, trackers
from ftlab.artifacts import ADAPTER, check_reload, probe, save_adapter, write_predictions
from ftlab.callbacks.answering import answering
from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.resume import ResumePoints
from ftlab.callbacks.sanity import TrainingCheck
from ftlab.data import demonstrations
from ftlab.data.base import DataModule
from ftlab.environment import this_process
from ftlab.errors import UserError
from ftlab.fingerprint import fingerprint
from ftlab.methods.base import TuningMethod
from ftlab.models.size import parameter_count
from ftlab.optim import optimizer_maker
from ftlab.record import Check, Progress, RunRecord
from ftlab.recorder import Recorder, begun
from ftlab.room import require_room, require_separation
from ftlab.schema import RunConfig
from ftlab.stopping import StopSignals
from ftlab.tasks.base import TaskModule
from ftlab.tasks.spec import Task
from ftlab.trainer import Plan, build_trainer, plan, trained_model


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
        used = config.with_smaller_micro_batches(len(tried))
        recorder.update(micro_batch_size=used.micro_batch_size)
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
        accumulate=config.optim.accumulate,
        group_by_length=config.optim.group_by_length,
        packing=config.optim.packing,
    )
    for note in rows.origin.notes:
        recorder.say(note)
    architecture = models.architecture(config.model)
    task = method.adapt_task(rows.task.on(architecture), architecture).with_loss(config.loss)
    start = checkpoints.newest(directory / checkpoints.FOLDER, recorder.warn)
    if start:
        recorder.update(resumed_at=[*recorder.record.resumed_at, start.step])
        recorder.say(f"going on after step {start.step}")
    loggers = trackers.build(config, recorder.record, directory, done=start.step if start else 0) if rank == 0 else []
    at_the_end.callback(lambda: trackers.finish(loggers, recorder.record))  # how it ended is in the record by then
    expected = _train_and_save(config, directory, recorder, method, rows, task, loggers, start, stop)
    if rank == 0:
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
    rows: DataModule,
    task: Task,
    loggers: list[Logger],
    start: checkpoints.ResumePoint | None,
    stop: StopSignals | None,
) -> torch.Tensor | None:
    """Load, train, test and save; return the trained model's probe logits. The model is gone when this returns."""
    seed_everything(config.seed, verbose=False)  # before head and adapter are made: equal heads for equal seeds
    base = models.load(config.model, task, config.quant)
    base_bytes = models.base_weight_bytes(base.model)
    require_room(config, base, method)
    if config.optim.packing and method.needs_training:
        require_separation(config, base, method)
    first_token = getattr(base.model.config, "decoder_start_token_id", None)
    rows.tokenize(base.tokenizer, model=config.model.name, task=task, decoder_start=first_token)
    written = answering(config.dataset.generate, rows, base, method, batch_size=config.hardware.eval_batch_size)
    if rows.source_of_tokens:
        recorder.say(f"tokenised rows: {rows.source_of_tokens}")
        rows.forget_rows()
    batch_size, accumulate = config.optim.batch_size, config.optim.accumulate
    length = plan(config.budget, rows=rows.rows["train"], batch_size=batch_size, accumulate=accumulate)
    rows.deal(batches=length.batches, start=start.step * accumulate if start else 0)
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
        hardware=findings.hardware(config),
        data=findings.data(rows, task),
        parameters=parameters,
        trainable=module.trainable,
        columns=list(task.columns),
    )
    recorder.warn(*rows.warnings)
    recorder.say(
        f"{parameters.trainable:,} of {parameters.total:,} parameters train "
        f"({parameters.trainable / parameters.total:.2%}), {length.steps} steps of {batch_size} examples"
        if module.trainable
        else "nothing trains: the model is measured as it is"
    )

    meter, check = CostMeter(), TrainingCheck(module.trainable)
    points = ResumePoints(
        directory / checkpoints.FOLDER,
        every_s=config.sweep.checkpoint_s,
        accumulate=accumulate,
        start=start,
        stop=stop,
    )
    trainer = build_trainer(
        hardware=config.hardware,
        patience=config.budget.patience,
        optim=config.optim,
        task=task,
        plan=length,
        directory=directory,
        loggers=loggers,
        callbacks=[points, *written, meter, check, *method.callbacks()],
        skips_parameters=method.skips_parameters,
    )
    recorder.progress = _progress(module, length, meter, trainer)
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
    trainer.test(module, datamodule=rows, ckpt_path=best, weights_only=True, verbose=False)
    recorder.update(
        metrics={task.name: module.results},
        samples=[sample for callback in written for sample in callback.samples],
        cost=findings.cost(meter, points, setup_s, trainer, base_bytes),
        checks=check.checks() if module.trainable else {},
    )
    trained = trained_model(trainer, module)
    expected = None if trained is None else probe(method, trained, rows.probe_batch())
    if trainer.is_global_zero:
        assert trained is not None
        size = save_adapter(method, trained, directory, module.trainable)
        size += demonstrations.save(rows.demonstrations, directory / ADAPTER)
        recorder.update(parameters=parameters.model_copy(update={"adapter_bytes": size}))
        write_predictions(module.predictions, rows.example_ids("test"), directory, task=task.name, split="test")
    recorder.progress, rows.trainer = None, None  # both lead to the model
    return expected


def _progress(module: TaskModule[Any], length: Plan, meter: CostMeter, trainer: Trainer) -> Callable[[], Progress]:
    """Return what tells how far training is; it is asked from another thread, so it reads plain values alone."""
    watched = module.task.monitor.removeprefix("val/")
    checkpoint = trainer.checkpoint_callback
    assert isinstance(checkpoint, ModelCheckpoint)

    def tell() -> Progress:
        seen = module.results.get("val", {}).get(watched)
        validated, best = seen.value if seen else None, checkpoint.best_model_score
        loss = module.last_loss
        return Progress(
            step=trainer.global_step,
            steps=length.steps,
            loss=float(loss) if loss is not None else None,
            validated=validated,
            validated_at=module.validated_at,
            best=validated if best is None else float(best),
            peak_memory_bytes=meter.memory.so_far() if meter.memory else None,
        )

    return tell


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
