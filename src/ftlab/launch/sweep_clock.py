"""Clock of a sweep: how many of its jobs are done, and how long the others will take, judged by those before."""

from collections.abc import Callable

from ftlab.comparison.formats import format_duration
from ftlab.record import Status


class SweepClock:
    """Follows the jobs of a sweep, by the names of their folders."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        """Start the clock.

        Args:
            total: number of jobs.
            clock: monotonic clock, in seconds.
        """
        self._total = total
        self._done: set[str] = set()
        self._clock = clock
        self._began = clock()
        self._started_at: dict[str, float] = {}  # of the jobs that run
        self._stages_left: dict[str, float] = {}  # of these, the seconds until their stage ends, if known
        self._durations: list[float] = []

    @property
    def done(self) -> int:
        """Return how many jobs have ended, or need not run."""
        return len(self._done)

    def started(self, name: str) -> None:
        """Note that a job has started, perhaps once more."""
        self._done.discard(name)
        self._started_at[name] = self._clock()

    def skipped(self, name: str) -> None:
        """Note that a job need not run."""
        self._done.add(name)

    def update(self, name: str, stage_left: float | None) -> None:
        """Note how many seconds the stage of a job will take; None: not known."""
        self._stages_left[name] = stage_left or 0.0

    def ended(self, name: str, status: Status) -> None:
        """Note how a job has ended; only from one that has not failed can the duration of others be told."""
        duration = self._clock() - self._started_at.pop(name)
        if status != "interrupted":
            self._done.add(name)
        if status in ("completed", "paused", "pruned"):
            self._durations.append(duration)

    def seconds_left(self) -> float | None:
        """Return an estimate of the time until all jobs have ended; None: no job has ended yet."""
        if not self._durations:
            return None
        mean, now = sum(self._durations) / len(self._durations), self._clock()
        running = [
            max(mean - (now - started_at), self._stages_left.get(name, 0.0))
            for name, started_at in self._started_at.items()
        ]
        waiting = self._total - self.done - len(running)
        return (waiting * mean + sum(running)) / max(1, len(running))

    def parts(self, *, elapsed: bool = False) -> list[str]:
        """Return in words how far the sweep is, and on request how long it has run."""
        seconds = self.seconds_left()
        time = [f"{format_duration(self._clock() - self._began)} elapsed"] if elapsed else []
        left = "? left" if seconds is None else f"about {format_duration(seconds)} left"
        return [f"{self.done}/{self._total} jobs done", *time, *([left] if self.done < self._total else [])]
