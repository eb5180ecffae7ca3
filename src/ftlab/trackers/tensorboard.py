"""TensorBoard: curves, and the HParams table of settings against results."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.record import RunRecord
from ftlab.schema import RunConfig
from ftlab.trackers import base, facts

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FOLDER = Path("logs", "tensorboard")


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "tensorboard"

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        from lightning.pytorch.loggers import TensorBoardLogger

        self._settings = facts.settings(config, record)
        return TensorBoardLogger(save_dir=str(directory), name="logs", version="tensorboard", default_hp_metric=False)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        known = {name: value for name, value in (self._settings | facts.findings(record)).items() if value is not None}
        # TensorBoard shows what follows beside the settings
        logger.log_hyperparams(known, facts.numbers(record))
        logger.finalize("success" if record.status == "completed" else "failed")

    @classmethod
    def shown(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        found = [path.parent for path in folder.rglob("events.out.tfevents.*")]
        found = [path for path in found if path.parts[-2:] == _FOLDER.parts]
        if not found:
            return None
        return f"TensorBoard has runs here: `tensorboard --logdir {shlex.quote(os.path.commonpath(found))}`"
