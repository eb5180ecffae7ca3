"""Logger wrapper that gives a tracker the curves, each point once, and keeps its failure from failing the run."""

from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from ftlab.core.errors import reason
from ftlab.record import RunRecord
from ftlab.trackers import run_fields
from ftlab.trackers.base import Tracker


class GuardedLogger(Logger):
    """Wrapper of a tracker's logger: after the first exception it warns once and logs nothing more.

    A resumed run repeats the steps after its checkpoint. What an earlier attempt logged of them is not logged again.

    Attributes:
        tracker: whose logger it is; it also finishes the run.
        inner: the tracker's own logger.
        broken: whether it has failed.
    """

    def __init__(
        self,
        tracker: Tracker,
        inner: Logger,
        warn: Callable[[str], None],
        logged: Set[tuple[int, frozenset[str]]] = frozenset(),
    ) -> None:
        """Keep the tracker, its logger, the function to call with a message when they fail, and the rows logged before.

        `logged` has step and names of each row.
        """
        super().__init__()
        self.tracker = tracker
        self.inner = inner
        self.broken = False
        self._warn = warn
        self._logged = logged

    @property
    def name(self) -> str | None:
        """See `Logger`."""
        return self.tracker.tracker_config.name

    @property
    def version(self) -> int | str | None:
        """See `Logger`."""
        return None

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """See `Logger`."""
        points = run_fields.curve_points(metrics)
        if points and (step, frozenset(metrics)) not in self._logged:
            self._try(lambda: self.inner.log_metrics(points, step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Ignore Lightning's hyperparameters: the tracker has already logged the configuration."""

    def save(self) -> None:
        """See `Logger`."""
        self._try(self.inner.save)

    def finish(self, record: RunRecord, directory: Path) -> None:
        """Log the run's results and close it; done even after a failure, so that nothing stays open."""
        self._try(lambda: self.tracker.finish(self.inner, record, directory), even_if_broken=True)

    def _try(self, action: Callable[[], object], *, even_if_broken: bool = False) -> None:
        if self.broken and not even_if_broken:
            return
        try:
            action()
        except Exception as error:
            if not self.broken:
                problem = reason(error, with_class=True)
                self._warn(f"tracker={self.name} failed, and the run goes on without it: {problem}.")
            self.broken = True
