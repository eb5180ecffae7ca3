"""Time budget: ends training after a number of seconds instead of steps."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

_NEVER = 2**62  # batches between two validations


class TimeBudget(Callback):
    """Callback that stops training after the step that uses up the budget, and spaces validations evenly over it.

    All ranks use the clock of rank 0; otherwise they would stop at different steps.

    Attributes:
        fraction_used: used part of the budget at the last optimizer step, from 0 to 1; the schedule follows it.
    """

    def __init__(self, seconds: float, *, validations: int, accumulate: int, used: Callable[[], float]) -> None:
        """Take the budget.

        Args:
            seconds: of training, without validation.
            validations: total number, the last one at the end.
            accumulate: micro-batches per optimizer step.
            used: returns the seconds used so far, including those before an interruption.
        """
        self.fraction_used = 0.0
        self._seconds = seconds
        self._validations = validations
        self._accumulate = accumulate
        self._used = used
        self._validated = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of validations done and the used fraction; the cost meter saves the seconds."""
        # the keys are those of older checkpoints
        return {"validated": self._validated, "share": self.fraction_used}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._validated, self.fraction_used = state_dict["validated"], state_dict["share"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Turn off validation by number of batches; this callback schedules it."""
        trainer.val_check_batch = _NEVER

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Update the used fraction, which decides the next learning rate and whether this step is the last."""
        fraction = min(self._used() / self._seconds, 1.0)
        if trainer.world_size > 1:
            rank_0_fraction = torch.tensor(fraction, device=trainer.strategy.root_device)
            torch.distributed.broadcast(rank_0_fraction, 0)
            fraction = float(rank_0_fraction)
        self.fraction_used = fraction

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Trigger a validation that is due, and stop when the budget is used up."""
        due = int(self.fraction_used * self._validations)
        step_complete = (batch_idx + 1) % self._accumulate == 0
        if step_complete and due > self._validated:
            self._validated = due
            trainer.val_check_batch = 1
        else:
            trainer.val_check_batch = _NEVER
        if step_complete and self.fraction_used >= 1:
            trainer.should_stop = True
