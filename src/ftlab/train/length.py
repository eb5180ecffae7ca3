"""Training length in optimizer steps and micro-batches, from the budget."""

import math
from dataclasses import dataclass
from fractions import Fraction

from ftlab.config.groups import BudgetConfig

_ENDLESS = 2**40  # micro-batches; more than any run in seconds can take


@dataclass(frozen=True)
class TrainingLength:
    """Length of a run, computed before training.

    Attributes:
        steps: total number of optimizer steps, the schedule's length; None: the budget is in seconds.
        batches: total number of micro-batches per device.
        validation_every: micro-batches between validations.
    """

    steps: int | None
    batches: int
    validation_every: int

    def rung_end(self, rung: float) -> int | None:
        """Return the optimizer step of the first validation by which this fraction of the run is over.

        None: there is no such validation before the end of the run.
        """
        assert self.steps is not None  # a rung and a budget in seconds exclude each other
        steps_between = self.validation_every * self.steps // self.batches
        step = math.ceil(Fraction(str(rung)) * self.steps / steps_between) * steps_between  # 0.55 × 20 is above 11
        return step if step < self.steps else None

    @property
    def validations(self) -> int:
        """Validations in the whole run."""
        return self.batches // self.validation_every


def training_length(
    budget: BudgetConfig, *, train_rows: int, batch_size: int, accumulate: int, steps_within_budget: int | None = None
) -> TrainingLength:
    """Return the run's length.

    Every step takes `batch_size` rows: the last step of a budget in epochs is filled up with rows of another epoch.

    Args:
        budget: with its limit.
        train_rows: number of training rows.
        batch_size: examples per step.
        accumulate: micro-batches per step.
        steps_within_budget: steps that a budget in tokens or FLOPs allows, see `ftlab.train.budget`.
    """
    unit, _ = budget.limit
    if unit == "seconds":
        return TrainingLength(None, _ENDLESS, _ENDLESS)
    if steps_within_budget is not None:
        steps, validations = steps_within_budget, budget.validations
    elif budget.steps is not None:
        steps, validations = budget.steps, budget.validations
    elif budget.epochs is not None:
        steps, validations = math.ceil(budget.epochs * train_rows / batch_size), budget.epochs * budget.validations
    else:  # nothing trains
        steps, validations = 1, 1
    return TrainingLength(steps, steps * accumulate, max(1, steps // validations) * accumulate)
