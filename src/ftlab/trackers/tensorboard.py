"""TensorBoard tracker: curves, and the HParams table of hyperparameters and results."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.config.run_config import RunConfig
from ftlab.record import RunRecord
from ftlab.trackers import base, run_fields

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FOLDER = Path("logs", "tensorboard")


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "tensorboard"

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        from lightning.pytorch.loggers import TensorBoardLogger

        self._config_fields = run_fields.config_fields(config, record)
        return TensorBoardLogger(save_dir=str(directory), name="logs", version="tensorboard", default_hp_metric=False)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        fields = self._config_fields | run_fields.setup_fields(record)
        hyperparameters = {name: value for name, value in fields.items() if value is not None}
        # the HParams table shows the second argument beside the hyperparameters
        logger.log_hyperparams(hyperparameters, run_fields.numeric_results(record))
        logger.finalize("failed" if record.has_failed else "success")

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        log_folders = [path.parent for path in folder.rglob("events.out.tfevents.*")]
        log_folders = [path for path in log_folders if path.parts[-2:] == _FOLDER.parts]
        if not log_folders:
            return None
        return f"TensorBoard has runs here: `tensorboard --logdir {shlex.quote(os.path.commonpath(log_folders))}`"
