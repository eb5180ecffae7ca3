"""Trackio for Lightning."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger


class TrackioLogger(Logger):
    """Passes metrics on to a run of Trackio; whoever opened the run finishes it."""

    def __init__(self, run: Any) -> None:
        """Take the run."""
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        """Return the project."""
        return str(self.run.project)

    @property
    def version(self) -> str:
        """Return the run's name."""
        return str(self.run.name)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers of one step."""
        self.run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave them: the run was opened with its configuration."""
