"""Lightning logger for Trackio."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger


class TrackioLogger(Logger):
    """Logger that forwards metrics to a Trackio run; the caller that opened the run finishes it."""

    def __init__(self, run: Any) -> None:
        """Keep the run."""
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        """Return the project's name."""
        return str(self.run.project)

    @property
    def version(self) -> str:
        """Return the run's name."""
        return str(self.run.name)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the metrics of one step."""
        self.run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Ignore them: the run was opened with its configuration."""
