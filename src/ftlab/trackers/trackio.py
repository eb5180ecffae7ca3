"""Trackio tracker: logs to a SQLite file in the sweep's folder.

Lightning has no logger for Trackio; ours is in `trackio_logger`.
"""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.config.run_config import RunConfig
from ftlab.record import RunRecord
from ftlab.trackers import base, run_fields, tables

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FOLDER = "trackio"
_VARIABLE = "TRACKIO_DIR"  # trackio reads it when it is imported


class Tracker(base.Tracker):
    """See `base.Tracker`."""

    package = "trackio"
    extra = "trackio"

    def start(self, config: RunConfig, record: RunRecord, directory: Path) -> "Logger":
        """See `base.Tracker`."""
        os.environ.setdefault(_VARIABLE, str(directory.resolve().parent / _FOLDER))
        import trackio

        from ftlab.trackers.trackio_logger import TrackioLogger

        run = trackio.init(
            project=self.tracker_config.project,
            name=f"{run_fields.run_name(record)}-{run_fields.run_key(record)[:6]}",
            group=record.sweep,
            config={**run_fields.config_fields(config, record), "tags": list(self.tracker_config.tags)},
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return TrackioLogger(run)

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`."""
        import trackio

        run = logger.run
        results: dict[str, Any] = {**run_fields.numeric_results(record), "status": record.status}
        if predictions := tables.predictions_table(directory):
            headings, rows = predictions
            results["predictions"] = trackio.Table(columns=headings, data=rows)
        run.log(results)
        run.finish()

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        data_folders = sorted({path.parent for path in folder.rglob(f"{_FOLDER}/*.db")})
        if not data_folders:
            return None
        commands = " or ".join(f"`{_VARIABLE}={shlex.quote(str(path))} trackio show`" for path in data_folders)
        return f"Trackio has runs here: {commands}"
