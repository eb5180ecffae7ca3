"""Trackio: local first, a SQLite file in the sweep's folder. Lightning has no logger for it; ours is below."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab.record import RunRecord
from ftlab.schema import RunConfig
from ftlab.trackers import base, facts, rows

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

_FOLDER = "trackio"
_VARIABLE = "TRACKIO_DIR"  # read by trackio as it is imported


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
            project=self.settings.project,
            name=f"{facts.run_name(record)}-{facts.run_key(record)[:6]}",
            group=record.sweep,
            config={**facts.settings(config, record), "tags": list(self.settings.tags)},
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
        found = rows.predictions(directory)
        last: dict[str, Any] = {**facts.numbers(record), "status": record.status}
        if found:
            last["predictions"] = trackio.Table(columns=found[0], data=found[1])
        run.log(last)
        run.finish()

    @classmethod
    def shown(cls, folder: Path) -> str | None:
        """See `base.Tracker`."""
        found = sorted({path.parent for path in folder.rglob(f"{_FOLDER}/*.db")})
        if not found:
            return None
        commands = " or ".join(f"`{_VARIABLE}={shlex.quote(str(path))} trackio show`" for path in found)
        return f"Trackio has runs here: {commands}"
