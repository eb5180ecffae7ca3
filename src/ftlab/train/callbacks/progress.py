"""Progress lines in the job's log."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

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
        print(f"  step {trainer.global_step}{of}  {shown}", flush=True)
        self._last = time.monotonic()
