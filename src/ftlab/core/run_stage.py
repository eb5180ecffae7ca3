"""Stage of a run, such as training or testing, and how far the run is in it: what is shown while it runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum


class Stage(StrEnum):
    """What a run does, in words for its record, its log and the terminal."""

    LOADING = "loading"
    TOKENISING = "tokenising"
    CACHING = "caching frozen layers"
    TRAINING = "training"
    VALIDATING = "validating"
    TESTING = "testing"
    GENERATING = "writing answers"
    ROBUSTNESS = "robustness"
    SAVING = "saving"
    LATENCY = "measuring latency"
    CHECKING = "checking"


@dataclass(frozen=True)
class StagePosition:
    """Stage of a run at some moment.

    Attributes:
        stage: what the run does.
        total: number of batches, rows, texts or steps; None: not known.
        done: how many of them are done.
        first: how many of them were done before it began, as when training resumes.
        began: when it began, in seconds of the clock.
    """

    stage: Stage
    total: int | None
    done: float
    first: float
    began: float

    def seconds_left(self, now: float) -> float | None:
        """Return an estimate of the time until its end, if it goes on as it has; None: not known, or over."""
        if self.total is None or not self.first < self.done < self.total:
            return None
        return (now - self.began) * (self.total - self.done) / (self.done - self.first)


class StageTracker:
    """Tells other threads what a run does; only the run's main thread changes it.

    Attributes:
        position: the present one, replaced as a whole.
    """

    position: StagePosition

    def __init__(
        self, announce: Callable[[str], None] = lambda _: None, *, clock: Callable[[], float] = time.monotonic
    ):
        """Begin with loading.

        Args:
            announce: called with the name of each stage when the run first comes to it.
            clock: returns the time, in seconds.
        """
        self._announce = announce
        self._clock = clock
        self._announced: set[Stage] = set()
        self.begin(Stage.LOADING)

    def begin(self, stage: Stage, total: int | None = None, *, done: float = 0) -> None:
        """Begin a stage, which ends the one before it."""
        self.position = StagePosition(stage, total, done, done, self._clock())
        if stage not in self._announced:
            self._announced.add(stage)
            self._announce(stage)

    def advance(self, number: float = 1) -> None:
        """Note that so many more batches, rows, texts or steps of the stage are done."""
        self.position = replace(self.position, done=self.position.done + number)

    @contextmanager
    def within(self, stage: Stage, total: int | None = None) -> Iterator[None]:
        """Have a stage within another one for the length of a `with` block; then the other one goes on."""
        outer = self.position
        self.begin(stage, total)
        try:
            yield
        finally:
            self.position = outer

    def snapshot(self) -> tuple[StagePosition, float | None]:
        """Return the position, and the seconds left of its stage, of one moment; see `StagePosition.seconds_left`."""
        position = self.position  # read once: the main thread may be in another stage by the next line
        return position, position.seconds_left(self._clock())
