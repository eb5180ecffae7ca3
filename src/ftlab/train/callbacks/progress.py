"""Progress of training: lines in the job's log, and what the record tells while the run goes on."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import isfinite
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from ftlab.core.callback import RunCallback
from ftlab.core.job_log import log_line
from ftlab.core.run_stage import Stage, StageTracker
from ftlab.record import Progress
from ftlab.tasks.base import TaskModule
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.time_budget import TimeBudget

_SECONDS_BETWEEN_LINES = 30


class ProgressLines(Callback):
    """Callback that prints a line at each validation and every 30 s; a progress bar would clutter the log."""

    def __init__(self) -> None:
        """Note the time."""
        self._last = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print step and loss if the last line is more than 30 s ago."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_LINES:
            self._print(trainer, "train/loss")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print step, losses and metrics."""
        self._print(trainer, "train/loss", "val/loss", "val/accuracy", "val/micro_f1", "val/spearman", "val/perplexity")

    def _print(self, trainer: Trainer, *names: str) -> None:
        values = {name: trainer.callback_metrics[name] for name in names if name in trainer.callback_metrics}
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in values.items())
        of = f"/{trainer.max_steps}" if trainer.max_steps > 0 else ""
        log_line(f"step {trainer.global_step}{of}  {shown}")
        self._last = time.monotonic()


class StageReporter(RunCallback):
    """Callback that tells the run's tracker when it trains, validates and tests, and how far it is in that."""

    def __init__(self, stages: StageTracker, time_budget: TimeBudget | None) -> None:
        """Take the tracker, and the time budget of the run if it has one, of which the used fraction counts."""
        self.stages: StageTracker = stages
        self._time_budget = time_budget
        self._validation = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin training, after what other callbacks do at its start."""
        total = 1 if self._time_budget else trainer.max_steps
        self.stages.begin(Stage.TRAINING, total, done=self._done(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the steps."""
        self.stages.advance(self._done(trainer) - self.stages.position.done)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin validation, within training if anything trains."""
        self._validation.enter_context(self.stages.within(Stage.VALIDATING, _count(trainer.num_val_batches)))

    def on_validation_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Count the batches."""
        self.stages.advance()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with what was before the validation."""
        self._validation.close()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the test."""
        self.stages.begin(Stage.TESTING, _count(trainer.num_test_batches))

    def on_test_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Count the batches."""
        self.stages.advance()

    def _done(self, trainer: Trainer) -> float:
        return self._time_budget.fraction_used if self._time_budget else trainer.global_step


def _count(batches: Sequence[int | float]) -> int | None:
    """Return the number of batches of all loaders; None: one of them does not know."""
    total = sum(batches)
    return int(total) if isfinite(total) else None


def progress_reader(
    module: TaskModule[Any], trainer: Trainer, meter: CostMeter, time_budget: TimeBudget | None, best: ModelCheckpoint
) -> Callable[[], Progress]:
    """Return a function that reads the progress of training; another thread calls it, so it reads plain values only."""
    monitor = module.task.kind.monitor.removeprefix("val/")

    def read() -> Progress:
        metric = module.results.get("val", {}).get(monitor)
        validated, best_score = metric.value if metric else None, best.best_model_score
        loss, steps = module.last_loss, trainer.max_steps
        if time_budget is not None:  # extrapolate
            done = time_budget.fraction_used
            steps = round(trainer.global_step / done) if done else trainer.global_step
        return Progress(
            step=trainer.global_step,
            steps=steps,
            loss=float(loss) if loss is not None else None,
            validated=validated,
            validated_at=module.validated_at,
            best=validated if best_score is None else float(best_score),
            peak_memory_bytes=meter.memory.so_far() if meter.memory else None,
        )

    return read
