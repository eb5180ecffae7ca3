"""How long a run lasts under its budget, worked out before it begins, and what it used of it."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from ftlab import flops
from ftlab.callbacks.clock import TimeBudget
from ftlab.callbacks.cost import CostMeter
from ftlab.callbacks.resume import ResumePoints
from ftlab.data.base import DataModule
from ftlab.data.dealing import Dealer
from ftlab.data.mixture import MixtureData
from ftlab.errors import UserError
from ftlab.flops import Work
from ftlab.methods.base import TuningMethod
from ftlab.record import Budget, Cost
from ftlab.schema import RunConfig


def fitting_steps(config: RunConfig, rows: DataModule | MixtureData, method: TuningMethod, work: Work) -> int | None:
    """Return how many optimizer steps a budget in tokens or in FLOPs allows; None: another one decides.

    The rows of every step are dealt by the seed alone, and their lengths are known: so is what each step takes. Methods
    that put the same tokens to the model get the same steps under a budget in tokens.

    Args:
        config: of the run.
        rows: tokenized.
        method: that trains.
        work: the parameters that take part in training.

    Raises:
        UserError: the budget does not allow one step, or the data are a mixture.
    """
    unit, limit = config.budget.limit
    if unit not in ("tokens", "flops") or not method.needs_training:
        return None
    if isinstance(rows, MixtureData):
        raise UserError(f"budget.{unit} counts the tokens of one data set, and this is a mixture: set budget.steps.")
    each, cost = 1.0, np.sum(rows.pieces().widths, axis=0)  # what an encoder-decoder writes counts like what it reads
    if unit == "flops":
        each, cost = work.flops(1), cost + virtual_tokens(config, method)
    dealer = Dealer(
        len(cost),
        micro_batch_size=config.optim.batch_size,
        batches=0,
        start=0,
        seed=config.seed,
        rank=0,
        world_size=1,
        lengths=rows.counts("train")[0] if config.optim.group_by_length else None,
    )
    steps = dealer.steps_within(cost, limit / each)
    if not steps:
        raise UserError(
            f"budget.{unit}={limit:g} does not allow one optimizer step of {config.optim.batch_size} examples, which "
            f"takes about {each * config.optim.batch_size * float(cost.mean()):.3g}: raise it, or lower "
            "optim.batch_size."
        )
    return steps


def time_budget(config: RunConfig, meter: CostMeter, points: ResumePoints) -> TimeBudget | None:
    """Return what ends a run whose budget is in seconds; None: another one decides.

    Args:
        config: of the run.
        meter: times training.
        points: time their saving, which is not training.
    """
    if config.budget.limit[0] != "seconds":
        return None
    return TimeBudget(
        config.budget.limit[1],
        validations=config.budget.validations,
        accumulate=config.optim.accumulate,
        used=lambda: meter.training_s - points.saving_s,
    )


def spent(config: RunConfig, cost: Cost, *, rows: int, method: TuningMethod, work: Work) -> Budget:
    """Return the budget and what was used of it.

    Args:
        config: of the run.
        cost: of the run, over all processes.
        rows: of training.
        method: that trained.
        work: the parameters that took part in training.
    """
    unit, limit = config.budget.limit
    tokens = cost.tokens_seen + cost.examples_seen * virtual_tokens(config, method)
    used = {
        "epochs": cost.examples_seen / rows,
        "steps": float(cost.optimizer_steps),
        "tokens": float(cost.tokens_seen),
        "seconds": cost.train_s,
        "flops": work.flops(tokens),
    }
    return Budget(unit=unit, limit=limit, used=used[unit])


def work_of(method: TuningMethod, model: nn.Module, *, parts: Sequence[nn.Module] | None = None) -> Work:
    """Return the parameters that take part in training, of a model or of `parts` of it.

    Where the method trains inputs, the gradient passes through all of them.
    """
    return flops.work(model, virtual_tokens=bool(method.added_positions), parts=parts)


def virtual_tokens(config: RunConfig, method: TuningMethod) -> int:
    """Return how many tokens of its own a method sends through the model with each example; a cached prefix is none."""
    return 0 if "cache" in config.method.needs else method.added_positions
