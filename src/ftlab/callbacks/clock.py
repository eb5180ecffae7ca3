"""Training that lasts as many seconds as it is given, whatever the number of steps that fit in."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

_NEVER = 2**62  # batches between two validations


class TimeBudget(Callback):
    """Stops training at the end of the step in which its time is used up, and validates evenly over that time.

    Between steps every process goes by the clock of the first one, or they would stop apart.

    Attributes:
        share: of the time, how much was used when the optimizer last stepped, from 0 to 1; the schedule follows it.
    """

    def __init__(self, seconds: float, *, validations: int, accumulate: int, used: Callable[[], float]) -> None:
        """Take the time that there is.

        Args:
            seconds: of training alone.
            validations: in all, the last of them at the end.
            accumulate: micro-batches per optimizer step.
            used: tells the seconds used so far, those before an interruption included.
        """
        self.share = 0.0
        self._seconds = seconds
        self._validations = validations
        self._accumulate = accumulate
        self._used = used
        self._validated = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what the clock of the cost meter does not tell: which validations are done."""
        return {"validated": self._validated, "share": self.share}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self._validated, self.share = state_dict["validated"], state_dict["share"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate when this callback says so, and not by counting batches."""
        trainer.val_check_batch = _NEVER

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Look at the clock: the schedule's next rate, and whether this step is the last, depend on it."""
        share = min(self._used() / self._seconds, 1.0)
        if trainer.world_size > 1:
            of_the_first = torch.tensor(share, device=trainer.strategy.root_device)
            torch.distributed.broadcast(of_the_first, 0)
            share = float(of_the_first)
        self.share = share

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ask for a validation where one is due, and for the end when time is up."""
        due = int(self.share * self._validations)
        between_steps = (batch_idx + 1) % self._accumulate == 0
        if between_steps and due > self._validated:
            self._validated = due
            trainer.val_check_batch = 1
        else:
            trainer.val_check_batch = _NEVER
        if between_steps and self.share >= 1:
            trainer.should_stop = True
