"""Run setup: what a run trains on which data, and the steps that lead from there to a module that can train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from ftlab import methods, models, tasks
from ftlab.config.fingerprint import fingerprint
from ftlab.config.groups import ModelConfig
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Logits, Task
from ftlab.core.errors import UserError
from ftlab.core.run_stage import Stage
from ftlab.data.base import DataModule
from ftlab.data.build import RunData, build_data, micro_batch_tokens
from ftlab.evaluation.generation import GenerationEvaluation, build_generation_evaluation
from ftlab.evaluation.robustness import RobustnessEvaluation, build_robustness_evaluation
from ftlab.methods.base import TuningMethod
from ftlab.methods.reference import ReferenceModel
from ftlab.models import Base
from ftlab.models.devices import Devices
from ftlab.models.frozen_prefix import find_frozen_modules
from ftlab.models.size import parameter_count
from ftlab.models.structure import new_modules
from ftlab.record.checkpoints import FOLDER, ResumePoint, newest_resume_point
from ftlab.record.folder import VAL_PREDICTIONS
from ftlab.record.plans import read_plan
from ftlab.tasks.base import TaskModule
from ftlab.tasks.token_losses import choose_logits
from ftlab.train import record_fields
from ftlab.train.artifacts import write_predictions
from ftlab.train.callbacks.time_budget import TimeBudget
from ftlab.train.callbacks.val_predictions import ValPredictions
from ftlab.train.compatibility import require_enough_positions, require_packing_support, require_same_rows
from ftlab.train.length import TrainingLength
from ftlab.train.optim import optimizer_factory, use_fused_adamw
from ftlab.train.recorder import Recorder
from ftlab.train.speedups import ReadyTraining


@dataclass(frozen=True, kw_only=True)
class RunSetup:
    """What a run trains and on what; known before its model is loaded.

    Attributes:
        config: of the run, with micro-batches that fit into memory as far as earlier attempts tell.
        directory: the run's folder.
        devices: of the run.
        recorder: of the run.
        method: the tuning method.
        datamodule: the data; tokenized by `load_base`.
        task: the task as the method and a model of this architecture solve it.
        start: the checkpoint that the run resumes from.
    """

    config: RunConfig
    directory: Path
    devices: Devices
    recorder: Recorder
    method: TuningMethod
    datamodule: RunData
    task: Task
    start: ResumePoint | None

    @property
    def start_step(self) -> int:
        """Optimizer steps done already."""
        return self.start.step if self.start else 0

    @property
    def is_trial(self) -> bool:
        """Whether the run only chooses settings: it must not see the test split, and saves nothing."""
        return self.config.search.role == "trial"


def set_up_run(config: RunConfig, directory: Path, devices: Devices, recorder: Recorder) -> RunSetup:
    """Read the data, pose the task and look for a checkpoint.

    Raises:
        UserError: data, method or architecture cannot be used, or do not fit together.
    """
    if config.hardware.threads is not None:
        torch.set_num_threads(config.hardware.threads)
    config = _with_fitting_micro_batches(config, directory, devices, recorder)
    method = methods.build_method(config.method)
    datamodule = build_data(config, devices)
    for note in datamodule.origin.notes:
        recorder.log(note)
    task = method.pose_task(datamodule.task, models.architecture(config.model), config.loss)
    start = newest_resume_point(directory / FOLDER, recorder.warn)
    if start:
        require_same_rows(recorder.record, datamodule.hash, directory)
        recorder.update(resumed_at=[*recorder.record.resumed_at, start.step])
        recorder.log(f"resuming at step {start.step}")
    return RunSetup(
        config=config,
        directory=directory,
        devices=devices,
        recorder=recorder,
        method=method,
        datamodule=datamodule,
        task=task,
        start=start,
    )


def _with_fitting_micro_batches(config: RunConfig, directory: Path, devices: Devices, recorder: Recorder) -> RunConfig:
    """Return the configuration with smaller micro-batches if earlier attempts ran out of memory."""
    failed_attempts = recorder.record.out_of_memory
    config = config.with_smaller_micro_batches(len(failed_attempts), micro_batch_tokens(config, devices))
    recorder.update(micro_batch_size=config.micro_batch_size, micro_batch_tokens=micro_batch_tokens(config, devices))
    estimate = read_plan(directory.parent).get(directory.name)
    if estimate is not None and estimate.micro_batch_size == config.micro_batch_size:
        recorder.update(predicted=estimate)
    if failed_attempts:
        recorder.warn(
            f"out of memory with a micro-batch size of {failed_attempts[-1].micro_batch_size}: continuing with "
            f"{config.micro_batch_size}, and {config.optim.accumulate} micro-batches per step; the step is the same"
        )
    return config


def load_base(setup: RunSetup) -> Base:
    """Load the base model and tokenize the rows.

    Raises:
        UserError: model, data or method do not fit together.
    """
    config, method, datamodule = setup.config, setup.method, setup.datamodule
    seed_everything(config.seed, verbose=False)  # before head and adapter are initialised: equal seeds, equal heads
    base = models.load_base_model(config.model, setup.task, config.quant)
    require_enough_positions(config, base, method)
    if config.optim.packing and method.needs_training:
        require_packing_support(config, base, method)
    first_token = getattr(base.model.config, "decoder_start_token_id", None)
    stages = setup.recorder.stages
    with stages.within(Stage.TOKENISING, sum(datamodule.rows.values())):
        datamodule.tokenize(
            base.tokenizer,
            model=config.model.name,
            task=setup.task,
            decoder_start=first_token,
            advance=stages.advance,
        )
    if datamodule.source_of_tokens:
        setup.recorder.log(f"tokenised rows: {datamodule.source_of_tokens}")
    return base


def build_evaluations(setup: RunSetup, base: Base) -> tuple[GenerationEvaluation | None, RobustnessEvaluation | None]:
    """Return the evaluations that follow training; they are prepared on the rows and the unmodified base."""
    config, datamodule, method = setup.config, setup.datamodule, setup.method
    generation = build_generation_evaluation(
        config.dataset.generate, datamodule, base, method, batch_size=config.hardware.eval_batch_size
    )
    robustness = None
    if not setup.is_trial and config.plan is not True and isinstance(datamodule, DataModule):  # no mixture
        robustness = build_robustness_evaluation(config, datamodule, base, method, setup.task, setup.devices)
    return generation, robustness


def build_val_predictions(setup: RunSetup, best: ModelCheckpoint) -> ValPredictions | None:
    """Return the callback that writes the predictions of the best validation, if `sweep.val_predictions` asks for it.

    Otherwise, remove those of an earlier attempt: a better validation may follow.

    Args:
        setup: of the run.
        best: keeps the weights of the best validation.
    """

    def write(rows: list[dict[str, Any]], path: Path) -> None:
        write_predictions(rows, setup.datamodule.example_ids("val"), path, task=setup.task.name, split="val")

    if setup.config.sweep.val_predictions:
        return ValPredictions(setup.directory, best, write)
    if setup.devices.rank == 0:
        (setup.directory / VAL_PREDICTIONS).unlink(missing_ok=True)
    return None


def build_module(
    setup: RunSetup,
    model: nn.Module,
    length: TrainingLength,
    time_budget: TimeBudget | None,
    reference: ReferenceModel | None,
) -> TaskModule[Any]:
    """Return the task module, with its optimizer.

    Args:
        setup: of the run.
        model: what `method.apply` returned.
        length: of the run.
        time_budget: of the run; the learning rate follows it.
        reference: of the run.

    Raises:
        UserError: nothing trains.
    """
    config, method = setup.config, setup.method
    make_optimizer = optimizer_factory(
        config.optim,
        total_steps=length.steps,
        progress=(lambda: time_budget.fraction_used) if time_budget else None,
        fused=use_fused_adamw(config.speed, setup.devices),
    )
    logits = _which_logits(setup, model)
    module: TaskModule[Any] = tasks.build_task(
        setup.task, model, method, make_optimizer, logits=logits, reference_model=reference
    )
    if method.needs_training and not module.trainable:
        raise UserError(
            f"method={config.method.name} trains nothing on model={config.model.name}: choose another method."
        )
    return module


def record_setup(setup: RunSetup, base: Base, module: TaskModule[Any], length: TrainingLength) -> None:
    """Record and log what will train, on what."""
    config, recorder, datamodule, task = setup.config, setup.recorder, setup.datamodule, setup.task
    parameters = parameter_count(module.model)
    recorder.update(
        fingerprint=fingerprint(config, data_hash=datamodule.hash, base_hash=base.identity["sha256"]),
        base_model=base.identity,
        base_folder=record_fields.base_folder(config.model, base, setup.directory),
        origin=record_fields.origin(base),
        hardware=record_fields.hardware(setup.devices),
        data=record_fields.data(datamodule, task),
        parameters=parameters,
        trainable=module.trainable,
        columns=list(task.columns),
    )
    recorder.warn(*datamodule.warnings)
    if module.trainable:
        for name in new_modules(base.model):
            recorder.warn(f"{name} is not in the checkpoint: it starts random, and is trained with the head")
    if not module.trainable:
        recorder.log("nothing trains: the model is evaluated as it is")
        return
    lr = config.optim.lr
    assert lr is not None  # null only for methods that never train
    plan = record_fields.training_plan(config, datamodule, length, lr)
    recorder.update(training_plan=plan)
    recorder.log(f"training on {plan}, learning rate {lr:g}")
    recorder.log(
        f"{parameters.trainable:,} of {parameters.total:,} parameters train "
        f"({parameters.trainable / parameters.total:.2%})"
    )


def ready_training(setup: RunSetup, module: TaskModule[Any], length: TrainingLength) -> ReadyTraining:
    """Return what speedups and cost estimate read of a training that is ready to begin."""
    return ReadyTraining(
        config=setup.config,
        devices=setup.devices,
        module=module,
        datamodule=setup.datamodule,
        directory=setup.directory,
        steps=length.steps,
        validations=length.validations,
        log=setup.recorder.log,
    )


def switch_off_frozen_dropout(module: TaskModule[Any], model: ModelConfig) -> None:
    """Switch dropout off in the frozen layers, if `model.frozen_dropout` says so.

    Raises:
        UserError: the frozen layers are not known.
    """
    if model.frozen_dropout or not module.trainable:
        return
    frozen = find_frozen_modules(module.model, module.method.forward)
    if frozen is None:
        raise UserError(
            f"model.frozen_dropout=false: the frozen layers of model={model.name} cannot be determined, as for all "
            "encoder-decoders; set model.dropout=0, which switches dropout off in all layers."
        )
    frozen.without_dropout()


def _which_logits(setup: RunSetup, model: nn.Module) -> Logits:
    """Return which logits a language model computes; other tasks have few and compute all."""
    if setup.task.labels:
        return "all"
    devices = setup.devices
    output_layer_callable = not devices.sharded and devices.precision != "16-mixed"
    return choose_logits(
        setup.config.speed.logits, setup.method.forward, model, output_layer_callable=output_layer_callable
    )
