"""Checkpoints for resuming a run, saved periodically, on a stop signal, and where a rung ends."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from ftlab.core.callback import Phase, RunCallback
from ftlab.core.errors import Unfinished
from ftlab.core.signals import Paused, Stopped, StopSignals
from ftlab.record.checkpoints import MAX_CHECKPOINTS, ResumePoint, checkpoint_path, resume_points
from ftlab.tasks.ranks import max_over_ranks

_MAX_SAVING_SHARE = 0.05  # of the run's time, unless every step is to be saved
_SECONDS_BETWEEN_VOTES = 1.0  # time between two votes of the ranks on whether to stop or save
_MAX_STEPS_BETWEEN_VOTES = 16  # limit of that, should steps become slower


class ResumePoints(RunCallback):
    """Callback that saves checkpoints between optimizer steps, and resumes from them.

    It saves one periodically, on a stop signal, and at the validation with which a rung ends.

    Lightning's own mid-epoch resume does not reproduce the uninterrupted run. Here a resumed run is a complete run over
    the remaining batches: weights, optimizer, schedule, callbacks and random state are those of the checkpoint, and the
    step counters are set.

    Attributes:
        saving_s: seconds spent on saving during training; a save after a validation counts as validation.
    """

    phase = Phase.RESUME

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float,
        accumulate: int,
        start: ResumePoint | None,
        stop: StopSignals | None,
        pause_step: int | None = None,
    ) -> None:
        """Take the folder for checkpoints.

        Args:
            folder: for checkpoints; may contain some of an earlier attempt.
            every_s: seconds between two checkpoints, more if saving is slow; 0: one after every step.
            accumulate: micro-batches per optimizer step.
            start: the checkpoint that this run resumes from.
            stop: tells whether the job received a stop signal.
            pause_step: the optimizer step whose validation ends the rung; None: the run goes to its end.
        """
        self._folder = folder
        self._every_s = every_s
        self._accumulate = accumulate
        self._start = start.step if start else 0
        self._stop = stop
        self._pause_step = pause_step
        self._step = 0
        self._saved_at = 0.0
        self._last_save_s = 0.0
        self._checked_at = 0.0
        self._longest_step_s = _SECONDS_BETWEEN_VOTES  # since the last vote; an assumption before the first vote
        self._steps_until_vote = 0
        self._saving = False
        self._validated = False  # a validation has run since the last step
        self._ended = False  # training, also where early stopping or a time budget has ended it
        self.saving_s = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the saving time before this save, whether a validation came before it, and whether it is the end."""
        return {"saving_s": self.saving_s, "validated": self._validated, "ended": self._ended}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.saving_s = state_dict["saving_s"]
        self._validated = state_dict.get("validated", False)  # checkpoints from before December 2026 do not say
        self._ended = state_dict.get("ended", False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set Lightning's counters to the steps done already, and handle signals instead of Lightning."""
        self._require_same_start(trainer)
        self._step = self._start
        self._saved_at = self._checked_at = time.monotonic()
        loop = trainer.fit_loop.epoch_loop
        batches = loop.batch_progress.total
        batches.increment_by(self._start * self._accumulate)
        steps = loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.increment_by(self._start)
        loop._batches_that_stepped = self._start  # the step that loggers get
        trainer.should_stop = self._ended
        if self._stop:
            self._stop.deferring = True
            self._stop.install()
            loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]  # saves a synchronisation per step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Save, stop or pause if it is time; everything due after the previous optimizer step is done."""
        stepped, self._step = trainer.global_step != self._step, trainer.global_step
        if batch_idx % self._accumulate:
            return
        stop, save = self._agree_on_stop_and_save(trainer)
        # all ranks have the same steps and validations, so they need no vote
        pause = self._validated and self._pause_step is not None and self._step >= self._pause_step
        if stepped and (stop or save or pause):
            self._save(trainer)
        if stop:
            raise Stopped(stop)
        if pause:
            raise Paused
        self._validated = False

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the validation: a save before the next batch counts as part of it."""
        self._validated = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals stop the process at once from here on; save and stop if a rank got one since the last vote."""
        self._stop_at_once()
        if stop := self._agree_on_stop(trainer):
            if not self._ended:  # as otherwise it was when this run was resumed
                self._step, self._ended = trainer.global_step, True
                self._save(trainer)
            raise Stopped(stop)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let signals stop the process at once."""
        self._stop_at_once()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Leave out the state of Lightning's loops, which is set from the step alone."""
        if self._saving:
            del checkpoint["loops"]

    def _stop_at_once(self) -> None:
        if self._stop:
            self._stop.deferring = False

    def _require_same_start(self, trainer: Trainer) -> None:
        """Check that all ranks resume from the same step: one may see another folder, or an older state of it."""
        highest, minus_lowest = max_over_ranks([self._start, -self._start], trainer.strategy.root_device)
        if highest != -minus_lowest:
            raise Unfinished(
                f"the ranks found checkpoints of different steps in {self._folder}: put sweep.dir on a file system "
                "that all nodes share, then run the same command again."
            )

    def _agree_on_stop_and_save(self, trainer: Trainer) -> tuple[int, bool]:
        """Return the stop signal (0: none) and whether to save; the same on every rank."""
        now = time.monotonic()
        interval = max(self._every_s, self._last_save_s / _MAX_SAVING_SHARE) if self._every_s else 0
        due, stop = now - self._saved_at >= interval, self._stop_received()
        return (stop, due) if trainer.world_size == 1 else self._vote(trainer, now, stop=stop, due=due)

    def _agree_on_stop(self, trainer: Trainer) -> int:
        """Return the stop signal (0: none), the same on every rank, however short ago the last vote was."""
        (stop,) = max_over_ranks([self._stop_received()], trainer.strategy.root_device)
        return stop

    def _stop_received(self) -> int:
        return (self._stop.received or 0) if self._stop else 0

    def _vote(self, trainer: Trainer, now: float, *, stop: int, due: bool) -> tuple[int, bool]:
        """Agree with the other ranks, about once a second, as a vote synchronises ranks and devices."""
        self._longest_step_s, self._checked_at = max(self._longest_step_s, now - self._checked_at), now
        if self._steps_until_vote:
            self._steps_until_vote -= 1
            return 0, False
        step_us = max(1, round(self._longest_step_s * 1e6))
        stop, any_due, step_us = max_over_ranks([stop, int(due), step_us], trainer.strategy.root_device)
        if self._every_s:
            self._steps_until_vote = min(int(_SECONDS_BETWEEN_VOTES * 1e6 / step_us), _MAX_STEPS_BETWEEN_VOTES)
        self._longest_step_s = 0.0
        return stop, bool(any_due)

    def _save(self, trainer: Trainer) -> None:
        started_at = time.monotonic()
        for logger in trainer.loggers:
            logger.save()
        self._saving = True
        trainer.save_checkpoint(checkpoint_path(self._folder, self._step))
        self._saving = False
        if trainer.is_global_zero:
            for old in resume_points(self._folder)[MAX_CHECKPOINTS:]:
                old.path.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._last_save_s = self._saved_at - started_at
        if not self._validated:
            self.saving_s += self._last_save_s
