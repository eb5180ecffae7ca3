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
        from ftlab.trackers.trackio_logger import TrackioLogger

        self._settings = {**run_fields.config_fields(config, record), "tags": list(self.tracker_config.tags)}
        return TrackioLogger(self._init(record, self._settings))

    def finish(self, logger: Any, record: RunRecord, directory: Path) -> None:
        """See `base.Tracker`; most results are settings of the run, as a metric of one point is a chart."""
        import trackio

        logger.run.finish()
        shown = run_fields.main_results(record)
        others = {name: value for name, value in run_fields.results(record).items() if name not in shown}
        run = self._init(record, {**self._settings, **run_fields.setup_fields(record), **others})
        results: dict[str, Any] = {f"{run_fields.VALUES}/{name}": value for name, value in shown.items()}
        if predictions := tables.predictions_table(directory):
            headings, rows = predictions
            results["predictions"] = trackio.Table(columns=headings, data=rows)
        run.log(results)
        run.finish()

    def _init(self, record: RunRecord, settings: dict[str, Any]) -> Any:
        """Return the run, opened with settings, which replace those that it was opened with before."""
        import trackio

        return trackio.init(
            project=self.tracker_config.project,
            name=f"{run_fields.run_name(record)}-{run_fields.run_key(record)[:6]}",
            group=record.sweep,
            config=settings,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    @classmethod
    def viewing_hint(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        data_folders = sorted({path.parent for path in folder.rglob(f"{_FOLDER}/*.db")})
        if not data_folders:
            return None
        commands = " or ".join(f"`{_VARIABLE}={shlex.quote(str(path))} trackio show`" for path in data_folders)
        return f"Trackio has runs here: {commands}"
