"""Checkpoints to go on from, and the stop that leaves one."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ftlab.checkpoints import KEPT, ResumePoint, all_points, path_at
from ftlab.errors import Unfinished
from ftlab.stopping import Stopped, StopSignals

_MOST_OF_THE_TIME = 0.05  # share of the run that goes into saving, at most, unless every step is to be saved
_BETWEEN_VOTES_S = 1.0  # how long ranks train without asking each other whether to stop or save, if steps are short
_MOST_BETWEEN_VOTES = 16  # and in how many steps, should they grow longer


class ResumePoints(Callback):
    """Saves between two optimizer steps, every so often and when the job is told to stop; goes on from there.

    Lightning's own way back into the middle of an epoch does not give the uninterrupted run. Here a resumed run is a
    whole run over the batches that are left: weights, optimizer, schedule, callbacks and random state are those of the
    checkpoint, and the counters are set. It has to be the first callback, so that the others see the right step.

    Attributes:
        saving_s: seconds spent on saving between steps of training; a save after a validation is booked with that.
    """

    def __init__(
        self, folder: Path, *, every_s: float, accumulate: int, start: ResumePoint | None, stop: StopSignals | None
    ) -> None:
        """Take the folder for checkpoints.

        Args:
            folder: of the run; may hold checkpoints of it.
            every_s: seconds between two, more where saving takes long; 0: one after every step, however long it takes.
            accumulate: micro-batches per optimizer step.
            start: the one that this run goes on from.
            stop: asked whether the job was told to stop.
        """
        self._folder = folder
        self._every_s = every_s
        self._accumulate = accumulate
        self._start = start.step if start else 0
        self._stop = stop
        self._step = 0
        self._saved_at = 0.0
        self._took = 0.0
        self._asked_at = 0.0
        self._longest = _BETWEEN_VOTES_S  # step since the last vote, in seconds; as if, before there was one
        self._quiet = 0  # steps until the next one
        self._saving = False
        self._validated = False  # since the last step
        self.saving_s = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the time spent so far; that of the save which stores it is not known yet."""
        return {"saving_s": self.saving_s}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.saving_s = state_dict["saving_s"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set Lightning's counters to what is done already, and hear signals instead of Lightning."""
        self._require_one_start(trainer)
        self._step = self._start
        self._saved_at = self._asked_at = time.monotonic()
        loop = trainer.fit_loop.epoch_loop
        seen = loop.batch_progress.total
        seen.increment_by(self._start * self._accumulate)
        steps = loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.increment_by(self._start)
        loop._batches_that_stepped = self._start  # the step that loggers are given
        if self._stop:
            self._stop.patient = True
            self._stop.install()
            loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]  # a wait per step, for no signal

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Save and stop where it is time; the optimizer has stepped, and what was due after it is done."""
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if batch_idx % self._accumulate:
            return
        stop, save = self._agreed(trainer)
        if stepped and (stop or save):
            self._save(trainer)
        if stop:
            raise Stopped(stop)
        self._validated = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Know whose time a save takes: that of the validation, until the next batch comes."""
        self._validated = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal stops at once, and one that came after training last asked does too."""
        self._impatient()
        if self._stop and self._stop.received:
            raise Stopped(self._stop.received)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The same."""
        self._impatient()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Leave out the state of Lightning's loops: it is set from the step alone."""
        if self._saving:
            del checkpoint["loops"]

    def _impatient(self) -> None:
        if self._stop:
            self._stop.patient = False

    def _require_one_start(self, trainer: Trainer) -> None:
        """Refuse to train where the ranks read different checkpoints: their folders are not one, or one lags behind."""
        if trainer.world_size > 1:
            steps = torch.tensor([self._start, -self._start], device=trainer.strategy.root_device)
            torch.distributed.all_reduce(steps, torch.distributed.ReduceOp.MAX)
            if int(steps[0]) != -int(steps[1]):
                raise Unfinished(
                    f"the ranks found checkpoints of different steps in {self._folder}: put sweep.dir on a file system "
                    "that all nodes share, then give the same command again."
                )

    def _agreed(self, trainer: Trainer) -> tuple[int, bool]:
        """Return the signal to stop by (0: none) and whether to save; the same in every process."""
        now = time.monotonic()
        wait = max(self._every_s, self._took / _MOST_OF_THE_TIME) if self._every_s else 0
        due = now - self._saved_at >= wait
        stop = (self._stop.received or 0) if self._stop else 0
        return (stop, due) if trainer.world_size == 1 else self._voted(trainer, now, stop=stop, due=due)

    def _voted(self, trainer: Trainer, now: float, *, stop: int, due: bool) -> tuple[int, bool]:
        """Ask the other ranks too, about once a second: for that, all wait for the slowest, and for the devices."""
        self._longest, self._asked_at = max(self._longest, now - self._asked_at), now
        if self._quiet:
            self._quiet -= 1
            return 0, False
        of_a_step = max(1, round(self._longest * 1e6))
        votes = torch.tensor([stop, int(due), of_a_step], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(votes, torch.distributed.ReduceOp.MAX)
        stop, due, of_a_step = votes.tolist()
        if self._every_s:
            self._quiet = min(int(_BETWEEN_VOTES_S * 1e6 / of_a_step), _MOST_BETWEEN_VOTES)
        self._longest = 0.0
        return stop, bool(due)

    def _save(self, trainer: Trainer) -> None:
        begun = time.monotonic()
        for logger in trainer.loggers:
            logger.save()
        self._saving = True
        trainer.save_checkpoint(path_at(self._folder, self._step))
        self._saving = False
        if trainer.is_global_zero:
            for old in all_points(self._folder)[KEPT:]:
                old.path.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._took = self._saved_at - begun
        if not self._validated:
            self.saving_s += self._took
