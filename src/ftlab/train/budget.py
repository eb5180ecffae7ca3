"""Training budget: the steps that it allows, computed before training, and how much of it a run used."""

from collections.abc import Callable

import numpy as np

from ftlab.config.groups import BudgetConfig
from ftlab.core.errors import UserError
from ftlab.data.build import RunData
from ftlab.data.loading.sampler import BatchSampler
from ftlab.data.mixture import MixtureData
from ftlab.methods.work import TrainingWork
from ftlab.record import Budget, Cost
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.time_budget import TimeBudget
from ftlab.train.length import TrainingLength, training_length


def run_length(budget: BudgetConfig, datamodule: RunData, work: TrainingWork, *, trains: bool) -> TrainingLength:
    """Return the length of a run.

    Args:
        budget: with its limit.
        datamodule: tokenized.
        work: of the method.
        trains: False for a baseline without training.

    Raises:
        UserError: the budget does not allow one step, or its unit is not for a mixture.
    """
    loading = datamodule.loading
    steps = _steps_within_budget(budget, datamodule, work) if trains else None
    return training_length(
        budget,
        train_rows=datamodule.rows["train"],
        batch_size=loading.batch_size,
        accumulate=loading.accumulate,
        steps_within_budget=steps,
    )


def _steps_within_budget(budget: BudgetConfig, datamodule: RunData, work: TrainingWork) -> int | None:
    """Return how many optimizer steps a budget in tokens or FLOPs allows; None: the budget has another unit.

    The seed alone determines the rows of every step, so the cost of each step is known in advance. Methods that give
    the model the same tokens get the same number of steps under a budget in tokens.

    Args:
        budget: with its limit.
        datamodule: tokenized.
        work: of the method.

    Raises:
        UserError: the budget does not allow one step, or the data are a mixture.
    """
    unit, limit = budget.limit
    if unit not in ("tokens", "flops"):
        return None
    if isinstance(datamodule, MixtureData):
        raise UserError(
            f"budget.{unit} counts the tokens of one data set, and the data are a mixture: set budget.steps."
        )
    loading, unit_cost = datamodule.loading, 1.0
    tokens = np.sum(datamodule.micro_batch_splitter().lengths, axis=0)  # of an encoder-decoder: inputs and labels
    if unit == "flops":
        unit_cost, tokens = work.params.flops(1), tokens + work.virtual_tokens
    sampler = BatchSampler(
        len(tokens),
        micro_batch_size=loading.batch_size,
        batches=0,
        start=0,
        seed=loading.seed,
        rank=0,
        world_size=1,
        lengths=datamodule.token_counts("train")[0] if loading.group_by_length else None,
    )
    steps = sampler.steps_within(tokens, limit / unit_cost)
    if not steps:
        step_cost = unit_cost * loading.batch_size * float(tokens.mean())
        raise UserError(
            f"budget.{unit}={limit:g} does not allow one optimizer step of {loading.batch_size} examples, which "
            f"takes about {step_cost:.3g}: raise it, or lower optim.batch_size."
        )
    return steps


def pause_step(rung: float | None, length: TrainingLength, warn: Callable[[str], None]) -> int | None:
    """Return the optimizer step after whose validation a run pauses; None: it does not.

    Args:
        rung: `search.rung`.
        length: of the run.
        warn: gets a message if the rung ends with the run.
    """
    if rung is None:
        return None
    step = length.rung_end(rung)
    if step is None:
        warn(f"search.rung={rung:g} pauses nothing: the next validation is that at the end; raise budget.validations.")
    return step


def build_time_budget(budget: BudgetConfig, meter: CostMeter, *, accumulate: int) -> TimeBudget | None:
    """Return the callback that ends a run whose budget is in seconds; None: the budget has another unit.

    Args:
        budget: with its limit.
        meter: times training.
        accumulate: micro-batches per optimizer step.
    """
    unit, seconds = budget.limit
    if unit != "seconds":
        return None
    return TimeBudget(
        seconds,
        validations=budget.validations,
        accumulate=accumulate,
        used=lambda: meter.net_train_s,
    )


def used_budget(budget: BudgetConfig, cost: Cost, work: TrainingWork, *, train_rows: int) -> Budget:
    """Return the budget and how much of it was used.

    Args:
        budget: with its limit.
        cost: of the run, over all processes.
        work: of the method.
        train_rows: number of training rows.
    """
    unit, limit = budget.limit
    tokens = cost.tokens_seen + cost.examples_seen * work.virtual_tokens
    used = {
        "epochs": cost.examples_seen / train_rows,
        "steps": float(cost.optimizer_steps),
        "tokens": float(cost.tokens_seen),
        "seconds": cost.train_s,
        "flops": work.params.flops(tokens),
    }
    return Budget(unit=unit, limit=limit, used=used[unit])
