"""Clock of a run's phases: seconds of wall-clock and processor time, each booked to one phase alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

GENERATED_TOKENS = "generated_tokens"  # count of the tokens that models generated, with stop tokens


class Seconds(NamedTuple):
    """Time, in seconds."""

    wall: float
    cpu: float  # processor time of this process, all threads


def _now() -> Seconds:
    return Seconds(time.perf_counter(), time.process_time())


class PhaseClock:
    """Books each moment to one phase: to the innermost that is open, or to the main phase if none is.

    Main phases follow one another (`switch`): training, evaluation, training again. Other phases are open within them
    (`with clock.phase("reward")`): their time is no longer that of the phase around them, but `seconds` of the main
    phase has it. While the clock is stopped, which it is at first, nothing is booked, within open phases neither.

    Attributes:
        main: the main phase; None: the clock is stopped.
        counts: of what the phases did, by name.
    """

    def __init__(self, now: Callable[[], Seconds] = _now, *, synchronise: Callable[[], None] = lambda: None) -> None:
        """Start with the clock stopped.

        Args:
            now: returns the time.
            synchronise: waits until the device has done what it was asked to; called where one phase follows another.
        """
        self.main: str | None = None
        self.counts: dict[str, int] = {}
        self._now = now
        self._synchronise = synchronise
        self._open: list[str] = []
        self._booked: dict[tuple[str, str], Seconds] = {}  # (main phase, phase)
        self._since = now()  # beginning of the time that is not booked yet

    def switch(self, main: str | None) -> None:
        """End the main phase and begin another one, if it is not the same; None: stop the clock."""
        if main != self.main:
            self._book()
            self.main = main

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Book the time of a `with` block to this phase, also if the block raises an error."""
        self._book()
        self._open.append(name)
        try:
            yield
        finally:
            try:
                self._book()
            finally:  # also if the device cannot be waited for
                self._open.pop()

    def count(self, name: str, number: int) -> None:
        """Add to a count."""
        self.counts[name] = self.counts.get(name, 0) + number

    def seconds(self, main: str) -> Seconds:
        """Return the time of a main phase until now, with that of the phases within it."""
        within = [seconds for (of, _), seconds in self._so_far().items() if of == main]
        return Seconds(sum((seconds.wall for seconds in within), 0.0), sum((seconds.cpu for seconds in within), 0.0))

    def phases(self) -> dict[str, float]:
        """Return phase -> wall-clock seconds until now, without those of phases within it."""
        wall: dict[str, float] = {}
        for (_, phase), seconds in self._so_far().items():
            wall[phase] = wall.get(phase, 0.0) + seconds.wall
        return wall

    def state_dict(self) -> dict[str, Any]:
        """Return times and counts until now, for a resumed run."""
        times = [[main, phase, *seconds] for (main, phase), seconds in self._so_far().items()]
        return {"times": times, "counts": dict(self.counts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the times and counts of a checkpoint, in place of those until now."""
        self._since = self._now()
        self._booked = {(main, phase): Seconds(wall, cpu) for main, phase, wall, cpu in state_dict["times"]}
        self.counts = dict(state_dict["counts"])

    def _book(self) -> None:
        """Book the time until now, at the end of a phase and the beginning of the next."""
        if self.main is not None:
            self._synchronise()
        now = self._now()
        self._booked = self._booked_until(now)
        self._since = now

    def _so_far(self) -> dict[tuple[str, str], Seconds]:
        """Return the time until now, without waiting for the device."""
        return self._booked_until(self._now())

    def _booked_until(self, now: Seconds) -> dict[tuple[str, str], Seconds]:
        if self.main is None:
            return self._booked
        current = self.main, self._open[-1] if self._open else self.main
        before = self._booked.get(current, Seconds(0.0, 0.0))
        elapsed = Seconds(now.wall - self._since.wall, now.cpu - self._since.cpu)
        return {**self._booked, current: Seconds(before.wall + elapsed.wall, before.cpu + elapsed.cpu)}
