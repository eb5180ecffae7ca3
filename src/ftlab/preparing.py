"""What is there before training begins: the model that trains, its examples, and how long the run is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
from torch import nn
from transformers import PreTrainedTokenizerBase

from ftlab import budgets, checkpoints, findings, models, tasks
from ftlab.callbacks.answering import Answering, answering
from ftlab.callbacks.clock import TimeBudget
from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.last_block import OneToken, one_token
from ftlab.callbacks.resume import ResumePoints
from ftlab.callbacks.standing_in import StandingIn
from ftlab.callbacks.trunk import TrunkCache, caching
from ftlab.data.base import DataModule
from ftlab.data.mixture import MixtureData
from ftlab.errors import UserError
from ftlab.fingerprint import fingerprint
from ftlab.flops import Work
from ftlab.methods.base import TuningMethod
from ftlab.models.dropout import quick_dropout
from ftlab.models.size import parameter_count
from ftlab.models.trunk import frozen_part
from ftlab.optim import optimizer_maker
from ftlab.record import Parameters
from ftlab.recorder import Recorder
from ftlab.robustness.examination import Examination, examining
from ftlab.room import require_room, require_separation
from ftlab.schema import RunConfig
from ftlab.stopping import StopSignals
from ftlab.tasks.base import TaskModule
from ftlab.tasks.labelled import settle
from ftlab.tasks.spec import Logits, Task
from ftlab.trainer import Plan, accelerator, plan, precision


@dataclass
class Ready:
    """A run on its mark.

    Attributes:
        module: what trains.
        tokenizer: of the base.
        length: of the run.
        parameters: how many there are, and train.
        work: the parameters that take part in each token's arithmetic.
        base_bytes: of the base model's weights.
        written: answers to test examples once training is over; one or none.
        examined: examines the trained model; one or none.
        meter: measures cost.
        points: from which an interrupted run goes on.
        clock: ends a run whose budget is in seconds.
        trunk: spares what a frozen trunk has said already; one or none.
        last: spares what no head reads of the last block; one or none.
        quick: draws dropout quickly; one or none.
    """

    module: TaskModule[Any]
    tokenizer: PreTrainedTokenizerBase
    length: Plan
    parameters: Parameters
    work: Work
    base_bytes: int
    written: list[Answering]
    examined: list[Examination]
    meter: CostMeter
    points: ResumePoints
    clock: TimeBudget | None
    trunk: list[TrunkCache]
    last: list[OneToken]
    quick: list[StandingIn]


def prepare(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    method: TuningMethod,
    rows: DataModule | MixtureData,
    task: Task,
    start: checkpoints.ResumePoint | None,
    stop: StopSignals | None,
) -> Ready:
    """Load the base, tokenise the rows, apply the method and settle the run's length; the record says what came of it.

    Raises:
        UserError: model, data, method or budget do not fit together.
    """
    seed_everything(config.seed, verbose=False)  # before head and adapter are made: equal heads for equal seeds
    base = models.load(config.model, task, config.quant)
    base_bytes = models.base_weight_bytes(base.model)
    require_room(config, base, method)
    if config.optim.packing and method.needs_training:
        require_separation(config, base, method)
    first_token = getattr(base.model.config, "decoder_start_token_id", None)
    rows.tokenize(base.tokenizer, model=config.model.name, task=task, decoder_start=first_token)
    written = answering(config.dataset.generate, rows, base, method, batch_size=config.hardware.eval_batch_size)
    examined: list[Examination] = []
    if config.search.role == "run" and config.plan is not True and isinstance(rows, DataModule):  # mixtures are not
        examined = examining(config, rows, base, method, task)
    if rows.source_of_tokens:
        recorder.say(f"tokenised rows: {rows.source_of_tokens}")
        rows.forget_rows()
    model = method.apply(base, task)
    work = budgets.work_of(method, model)  # before a schedule freezes any of it
    batch_size, accumulate = config.optim.batch_size, config.optim.accumulate
    fitting = budgets.fitting_steps(config, rows, method, work)
    length = plan(config.budget, rows=rows.rows["train"], batch_size=batch_size, accumulate=accumulate, fitting=fitting)
    rows.deal(batches=length.batches, start=start.step * accumulate if start else 0)
    meter = CostMeter()
    points = ResumePoints(
        directory / checkpoints.FOLDER,
        every_s=config.sweep.checkpoint_s,
        accumulate=accumulate,
        start=start,
        stop=stop,
    )
    clock = budgets.time_budget(config, meter, points)
    maker = optimizer_maker(
        config.optim, total_steps=length.steps, share=(lambda: clock.share) if clock else None, fused=_fused(config)
    )
    module = tasks.build(task, model, method, maker, logits=_logits(config, task, model, method))
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
        f"({parameters.trainable / parameters.total:.2%}), {_duration(config, length)} of {batch_size} examples"
        if module.trainable
        else "nothing trains: the model is measured as it is"
    )
    trunk = _trunk(config, directory, recorder, rows, module, length)
    last = one_token(config, rows, module, trunk)
    if last:
        recorder.say("last block: worked out for the first token alone, which is all that the head reads")
    return Ready(
        module=module,
        tokenizer=base.tokenizer,
        length=length,
        parameters=parameters,
        work=work,
        base_bytes=base_bytes,
        written=written,
        examined=examined,
        meter=meter,
        points=points,
        clock=clock,
        trunk=trunk,
        last=last,
        quick=_quick_dropout(config, module),
    )


def _trunk(
    config: RunConfig,
    directory: Path,
    recorder: Recorder,
    rows: DataModule | MixtureData,
    module: TaskModule[Any],
    length: Plan,
) -> list[TrunkCache]:
    """Switch dropout off in the frozen trunk where that is asked for; keep what it says where that pays.

    Raises:
        UserError: dropout is to be switched off, and it is not known where the trunk ends.
    """
    cached = config.speed.trunk != "off" and config.plan is not True
    if not module.trainable or (config.model.frozen_dropout and not cached):
        return []
    frozen = frozen_part(module.model, module.method.forward)
    if not config.model.frozen_dropout:
        if frozen is None:
            raise UserError(
                f"model.frozen_dropout=false: where the frozen part of model={config.model.name} ends is not known, as "
                "with all encoder-decoders; set model.dropout=0, which switches all of it off."
            )
        frozen.without_dropout()
    if frozen is None or not cached:
        return []
    found = caching(config, rows, module, frozen, length, directory)
    if found is None:
        return []
    if isinstance(found, str):
        recorder.say(f"frozen trunk: worked out anew each time, as {found}")
        return []
    recorder.say(f"frozen trunk: worked out once for each row, {found.told}")
    return [found]


def _quick_dropout(config: RunConfig, module: TaskModule[Any]) -> list[StandingIn]:
    """Return what draws dropout quickly, where that is asked for and the model trains on a CPU."""
    if config.speed.dropout == "torch" or accelerator(config.hardware) != "cpu" or not module.trainable:
        return []
    return [StandingIn(lambda: quick_dropout(module.model))]


def _fused(config: RunConfig) -> bool:
    """Whether AdamW is the fused one: not in fp16, where its gradients are scaled and clipped; shards are untried."""
    hardware = config.hardware
    scaled = precision(hardware, accelerator(hardware)) == "16-mixed"
    return config.speed.fused_adamw and not scaled and hardware.strategy != "fsdp"


def _logits(config: RunConfig, task: Task, model: nn.Module, method: TuningMethod) -> Logits:
    """Return which logits a language model makes; other tasks have few."""
    if task.labels:
        return "all"
    whole = config.hardware.strategy != "fsdp" and config.hardware.precision != "16-mixed"
    return settle(config.speed.logits, method.forward, model, alone=whole)


def _duration(config: RunConfig, length: Plan) -> str:
    return f"{config.budget.seconds:g} s in steps" if length.steps is None else f"{length.steps} steps"
