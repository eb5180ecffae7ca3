"""Run setup: loads the model, tokenizes the data, applies the method and computes the training length."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
from torch import nn
from transformers import PreTrainedTokenizerBase

from ftlab import models, tasks
from ftlab.config.fingerprint import fingerprint
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Logits, Task
from ftlab.core.errors import UserError
from ftlab.core.signals import StopSignals
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.evaluation.generation import GenerationEvaluation, build_generation_evaluation
from ftlab.evaluation.robustness import RobustnessEvaluation, build_robustness_evaluation
from ftlab.methods.base import TuningMethod
from ftlab.methods.work import matmul_params_in_training
from ftlab.models.devices import accelerator, precision
from ftlab.models.flops import MatmulParams
from ftlab.models.frozen_prefix import find_frozen_modules
from ftlab.models.size import parameter_count
from ftlab.record import Parameters
from ftlab.record.checkpoints import FOLDER, ResumePoint
from ftlab.tasks.base import TaskModule
from ftlab.tasks.token_losses import choose_logits
from ftlab.train import budget, record_fields
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.callbacks.time_budget import TimeBudget
from ftlab.train.compatibility import require_enough_positions, require_packing_support
from ftlab.train.length import TrainingLength, training_length
from ftlab.train.optim import optimizer_factory
from ftlab.train.recorder import Recorder
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock, build_cls_only_last_block
from ftlab.train.speedups.frozen_prefix_cache import FrozenPrefixCache, build_frozen_prefix_cache
from ftlab.train.speedups.patched_forward import PatchedForward
from ftlab.train.speedups.quick_dropout import quick_dropout


@dataclass
class RunSetup:
    """Everything a run needs before `fit`.

    Attributes:
        module: the task module to train.
        tokenizer: of the base.
        length: of the run.
        parameters: total and trainable number.
        work: the parameters that take part in each token's arithmetic.
        base_bytes: size of the base model's weights.
        generation: generates text in the final test; optional.
        robustness: evaluates the robustness of the trained model; optional.
        meter: measures cost.
        resume_points: saves the checkpoints from which an interrupted run resumes.
        time_budget: ends a run whose budget is in seconds.
        frozen_prefix: caches activations of frozen layers; optional.
        cls_only_last_block: computes the last block for the first token only; optional.
        quick_dropout: replaces dropout by a faster one; optional.
    """

    module: TaskModule[Any]
    tokenizer: PreTrainedTokenizerBase
    length: TrainingLength
    parameters: Parameters
    work: MatmulParams
    base_bytes: int
    generation: list[GenerationEvaluation]
    robustness: list[RobustnessEvaluation]
    meter: CostMeter
    resume_points: ResumePoints
    time_budget: TimeBudget | None
    frozen_prefix: list[FrozenPrefixCache]
    cls_only_last_block: list[ClsOnlyLastBlock]
    quick_dropout: list[PatchedForward]


def prepare_run(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    method: TuningMethod,
    datamodule: DataModule | MixtureData,
    task: Task,
    start: ResumePoint | None,
    stop: StopSignals | None,
) -> RunSetup:
    """Load the base, tokenize the rows, apply the method and compute the run's length; update the record.

    Raises:
        UserError: model, data, method or budget do not fit together.
    """
    seed_everything(config.seed, verbose=False)  # before head and adapter are initialised: equal seeds, equal heads
    base = models.load_base_model(config.model, task, config.quant)
    base_bytes = models.base_weight_bytes(base.model)
    require_enough_positions(config, base, method)
    if config.optim.packing and method.needs_training:
        require_packing_support(config, base, method)
    first_token = getattr(base.model.config, "decoder_start_token_id", None)
    datamodule.tokenize(base.tokenizer, model=config.model.name, task=task, decoder_start=first_token)
    generation = build_generation_evaluation(
        config.dataset.generate, datamodule, base, method, batch_size=config.hardware.eval_batch_size
    )
    robustness: list[RobustnessEvaluation] = []
    if config.search.role == "run" and config.plan is not True and isinstance(datamodule, DataModule):  # no mixture
        robustness = build_robustness_evaluation(config, datamodule, base, method, task)
    if datamodule.source_of_tokens:
        recorder.log(f"tokenised rows: {datamodule.source_of_tokens}")
        datamodule.free_rows()
    model = method.apply(base, task)
    work = matmul_params_in_training(method, model)  # before a schedule freezes parameters
    batch_size, accumulate = config.optim.batch_size, config.optim.accumulate
    steps_within_budget = budget.steps_within_budget(config, datamodule, method, work)
    length = training_length(
        config.budget,
        train_rows=datamodule.rows["train"],
        batch_size=batch_size,
        accumulate=accumulate,
        steps_within_budget=steps_within_budget,
    )
    datamodule.set_batch_range(batches=length.batches, start=start.step * accumulate if start else 0)
    meter = CostMeter()
    resume_points = ResumePoints(
        directory / FOLDER, every_s=config.sweep.checkpoint_s, accumulate=accumulate, start=start, stop=stop
    )
    time_budget = budget.build_time_budget(config, meter, resume_points)
    make_optimizer = optimizer_factory(
        config.optim,
        total_steps=length.steps,
        progress=(lambda: time_budget.fraction_used) if time_budget else None,
        fused=_use_fused_adamw(config),
    )
    module = tasks.build_task(task, model, method, make_optimizer, logits=_which_logits(config, task, model, method))
    if method.needs_training and not module.trainable:
        raise UserError(
            f"method={config.method.name} trains nothing on model={config.model.name}: choose another method."
        )
    parameters = parameter_count(model)
    recorder.update(
        fingerprint=fingerprint(config, data_hash=datamodule.hash, base_hash=base.identity["sha256"]),
        base_model=base.identity,
        hardware=record_fields.hardware(config),
        data=record_fields.data(datamodule, task),
        parameters=parameters,
        trainable=module.trainable,
        columns=list(task.columns),
    )
    recorder.warn(*datamodule.warnings)
    recorder.log(
        f"{parameters.trainable:,} of {parameters.total:,} parameters train "
        f"({parameters.trainable / parameters.total:.2%}), {_length_text(config, length)} of {batch_size} examples"
        if module.trainable
        else "nothing trains: the model is evaluated as it is"
    )
    frozen_prefix = _frozen_prefix(config, directory, recorder, datamodule, module, length)
    cls_only_last_block = build_cls_only_last_block(config, datamodule, module, frozen_prefix)
    if cls_only_last_block:
        recorder.log("last block: computed for the first token only, as the head reads no other")
    return RunSetup(
        module=module,
        tokenizer=base.tokenizer,
        length=length,
        parameters=parameters,
        work=work,
        base_bytes=base_bytes,
        generation=generation,
        robustness=robustness,
        meter=meter,
        resume_points=resume_points,
        time_budget=time_budget,
        frozen_prefix=frozen_prefix,
        cls_only_last_block=cls_only_last_block,
        quick_dropout=_quick_dropout(config, module),
    )


def _frozen_prefix(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    datamodule: DataModule | MixtureData,
    module: TaskModule[Any],
    length: TrainingLength,
) -> list[FrozenPrefixCache]:
    """Switch dropout off in the frozen layers, if configured; return their cache, if it saves computation.

    Raises:
        UserError: dropout should be switched off, but the frozen layers are not known.
    """
    caching = config.speed.frozen_layers != "off" and config.plan is not True
    if not module.trainable or (config.model.frozen_dropout and not caching):
        return []
    frozen = find_frozen_modules(module.model, module.method.forward)
    if not config.model.frozen_dropout:
        if frozen is None:
            raise UserError(
                f"model.frozen_dropout=false: the frozen layers of model={config.model.name} cannot be determined, as "
                "for all encoder-decoders; set model.dropout=0, which switches dropout off in all layers."
            )
        frozen.without_dropout()
    if frozen is None or not caching:
        return []
    cache = build_frozen_prefix_cache(
        config, datamodule, module, frozen, directory, steps=length.steps, validations=length.validations
    )
    if cache is None:
        return []
    if isinstance(cache, str):
        recorder.log(f"frozen layers: computed anew in each pass, because {cache}")
        return []
    recorder.log(f"frozen layers: computed once for each row, {cache.description}")
    return [cache]


def _quick_dropout(config: RunConfig, module: TaskModule[Any]) -> list[PatchedForward]:
    """Return the callback with the faster dropout, if it is configured and the model trains on a CPU."""
    if config.speed.dropout == "torch" or accelerator(config.hardware) != "cpu" or not module.trainable:
        return []
    return [PatchedForward(lambda: quick_dropout(module.model))]


def _use_fused_adamw(config: RunConfig) -> bool:
    """Return whether to use fused AdamW: not in fp16 (gradients are scaled and clipped) nor with FSDP (untested)."""
    hardware = config.hardware
    scaled = precision(hardware, accelerator(hardware)) == "16-mixed"
    return config.speed.fused_adamw and not scaled and hardware.strategy != "fsdp"


def _which_logits(config: RunConfig, task: Task, model: nn.Module, method: TuningMethod) -> Logits:
    """Return which logits a language model computes; other tasks have few and compute all."""
    if task.labels:
        return "all"
    output_layer_callable = config.hardware.strategy != "fsdp" and config.hardware.precision != "16-mixed"
    return choose_logits(config.speed.logits, method.forward, model, output_layer_callable=output_layer_callable)


def _length_text(config: RunConfig, length: TrainingLength) -> str:
    return f"{config.budget.seconds:g} s in steps" if length.steps is None else f"{length.steps} steps"
