"""Training budget: the steps that it allows, computed before training, and how much of it a run used."""

import numpy as np

from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.data.base import DataModule
from ftlab.data.loading.sampler import BatchSampler
from ftlab.data.mixture import MixtureData
from ftlab.methods.base import TuningMethod
from ftlab.methods.work import virtual_tokens
from ftlab.models.flops import MatmulParams
from ftlab.record import Budget, Cost
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.callbacks.time_budget import TimeBudget


def steps_within_budget(
    config: RunConfig, datamodule: DataModule | MixtureData, method: TuningMethod, work: MatmulParams
) -> int | None:
    """Return how many optimizer steps a budget in tokens or FLOPs allows; None: the budget has another unit.

    The seed alone determines the rows of every step, so the cost of each step is known in advance. Methods that give
    the model the same tokens get the same number of steps under a budget in tokens.

    Args:
        config: of the run.
        datamodule: tokenized.
        method: that trains.
        work: the parameters that take part in training.

    Raises:
        UserError: the budget does not allow one step, or the data are a mixture.
    """
    unit, limit = config.budget.limit
    if unit not in ("tokens", "flops") or not method.needs_training:
        return None
    if isinstance(datamodule, MixtureData):
        raise UserError(
            f"budget.{unit} counts the tokens of one data set, and the data are a mixture: set budget.steps."
        )
    unit_cost = 1.0
    tokens = np.sum(datamodule.micro_batch_splitter().lengths, axis=0)  # of an encoder-decoder: inputs and labels
    if unit == "flops":
        unit_cost, tokens = work.flops(1), tokens + virtual_tokens(config, method)
    sampler = BatchSampler(
        len(tokens),
        micro_batch_size=config.optim.batch_size,
        batches=0,
        start=0,
        seed=config.seed,
        rank=0,
        world_size=1,
        lengths=datamodule.token_counts("train")[0] if config.optim.group_by_length else None,
    )
    steps = sampler.steps_within(tokens, limit / unit_cost)
    if not steps:
        step_cost = unit_cost * config.optim.batch_size * float(tokens.mean())
        raise UserError(
            f"budget.{unit}={limit:g} does not allow one optimizer step of {config.optim.batch_size} examples, which "
            f"takes about {step_cost:.3g}: raise it, or lower "
            "optim.batch_size."
        )
    return steps


def build_time_budget(config: RunConfig, meter: CostMeter, resume_points: ResumePoints) -> TimeBudget | None:
    """Return the callback that ends a run whose budget is in seconds; None: the budget has another unit.

    Args:
        config: of the run.
        meter: times training.
        resume_points: times the saving of checkpoints, which is not training.
    """
    if config.budget.limit[0] != "seconds":
        return None
    return TimeBudget(
        config.budget.limit[1],
        validations=config.budget.validations,
        accumulate=config.optim.accumulate,
        used=lambda: meter.train_s_so_far - resume_points.saving_s,
    )


def used_budget(config: RunConfig, cost: Cost, *, train_rows: int, method: TuningMethod, work: MatmulParams) -> Budget:
    """Return the budget and how much of it was used.

    Args:
        config: of the run.
        cost: of the run, over all processes.
        train_rows: number of training rows.
        method: that trained.
        work: the parameters that took part in training.
    """
    unit, limit = config.budget.limit
    tokens = cost.tokens_seen + cost.examples_seen * virtual_tokens(config, method)
    used = {
        "epochs": cost.examples_seen / train_rows,
        "steps": float(cost.optimizer_steps),
        "tokens": float(cost.tokens_seen),
        "seconds": cost.train_s,
        "flops": work.flops(tokens),
    }
    return Budget(unit=unit, limit=limit, used=used[unit])
