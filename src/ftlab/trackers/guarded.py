"""Keeps a tracker's failure from becoming the run's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from ftlab.record import RunRecord
from ftlab.trackers.base import Tracker


class Guarded(Logger):
    """A tracker's logger that warns once and is silent from then on where the tracker raises.

    Attributes:
        tracker: finishes the run.
        inner: the tracker's own logger.
        broken: whether it has failed.
    """

    def __init__(self, tracker: Tracker, inner: Logger, warn: Callable[[str], None]) -> None:
        """Take the tracker, its logger, and who is told of a failure."""
        super().__init__()
        self.tracker = tracker
        self.inner = inner
        self.broken = False
        self._warn = warn

    @property
    def name(self) -> str | None:
        """See `Logger`."""
        return self.tracker.settings.name

    @property
    def version(self) -> int | str | None:
        """See `Logger`."""
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """See `Logger`."""
        self._try(lambda: self.inner.log_metrics(metrics, step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave out what Lightning knows: the tracker has the configuration."""

    def save(self) -> None:
        """See `Logger`."""
        self._try(self.inner.save)

    def finish(self, record: RunRecord, directory: Path) -> None:
        """Log what the run came to, and close it; tried after a failure too, so that nothing stays open."""
        self._try(lambda: self.tracker.finish(self.inner, record, directory), anyway=True)

    def _try(self, action: Callable[[], object], *, anyway: bool = False) -> None:
        if self.broken and not anyway:
            return
        try:
            action()
        except Exception as error:
            if not self.broken:
                what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                self._warn(f"tracker={self.name} failed, and the run goes on without it: {what}")
            self.broken = True
