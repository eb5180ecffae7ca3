"""Predictions of the best validation, one row per example."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from ftlab.core.callback import RunCallback
from ftlab.record.folder import VAL_PREDICTIONS

WritePredictions = Callable[[list[dict[str, Any]], Path], None]


class ValPredictions(RunCallback):
    """Callback that writes val_predictions.parquet after each validation that is the best so far.

    Whether it is, the callback that keeps the best weights says, so the file belongs to the weights that are tested and
    saved: also where validations tie, and in a run that is resumed. All ranks evaluate every row; rank 0 writes.
    """

    def __init__(self, directory: Path, best: ModelCheckpoint, write: WritePredictions) -> None:
        """Take what it needs to write.

        Args:
            directory: the run's folder.
            best: keeps the weights of the best validation; Lightning calls it after all other callbacks.
            write: writes predictions of the validation rows to a file.
        """
        self._path = directory / VAL_PREDICTIONS
        self._best = best
        self._write = write
        self._rows: list[dict[str, Any]] = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the predictions of the batch until the end of this validation."""
        if trainer.is_global_zero:
            self._rows += outputs["predictions"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the predictions, if this validation is the best so far."""
        rows, self._rows = self._rows, []
        value = trainer.callback_metrics.get(str(self._best.monitor))
        if self._best.check_monitor_top_k(trainer, value) and trainer.is_global_zero:  # every rank must ask
            self._write(rows, self._path)

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return a warning if there is no file, as the best validation was before the setting."""
        if not trainer.is_global_zero or self._path.exists():
            return {}
        warning = (
            f"{VAL_PREDICTIONS} is missing: the best validation was before sweep.val_predictions=true; for the file, "
            "run the command again with another sweep.name."
        )
        return {"warnings": [warning]}
