"""Repeated comparison of a sweep that is still running, for `ftlab compare --watch`."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftlab.comparison.tables import ComparisonTables
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.record.folder import CONFIG

POLL_SECONDS = 2.0
CURVES_SECONDS = 30.0  # interval of comparisons while a run is active: its curves grow without a change of state
IDLE_SECONDS = 60.0  # without an active run for this long, waiting jobs belong to a sweep that was stopped


@dataclass
class RunStates:
    """States of all runs below some folders. Records are read again only if they have changed."""

    roots: Sequence[Path]
    waiting: int = 0  # jobs that have no record yet
    runs: int = 0  # records that are none of a trial: there is something to compare
    _cache: dict[Path, tuple[tuple[int, int], RunRecord]] = field(default_factory=dict)

    def read(self) -> dict[Path, tuple[str, ...]]:
        """Return for each run what changes a table; a heartbeat changes nothing."""
        states: dict[Path, tuple[str, ...]] = {}
        folders = {path.parent for root in self.roots for name in (FILE_NAME, CONFIG) for path in root.rglob(name)}
        self.waiting = self.runs = 0
        for folder in folders:
            record = self._record(folder)
            if record is None:
                self.waiting += 1
            else:
                self.runs += record.role != "trial"
                states[folder] = (record.run_id, record.status, record.started_at, record.finished_at or "")
        return states

    def _record(self, folder: Path) -> RunRecord | None:
        try:
            stat = (folder / FILE_NAME).stat()
            version = (stat.st_mtime_ns, stat.st_size)
            cached = self._cache.get(folder)
            if cached is None or cached[0] != version or cached[1].status == "running":  # its process may be gone
                self._cache[folder] = (version, read_record(folder))
            return self._cache[folder][1]
        except (FileNotFoundError, UserError):  # not written yet, or broken: the comparison reports broken records
            return None


def updated_comparisons(
    make_comparison: Callable[[], ComparisonTables],
    roots: Sequence[Path],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[ComparisonTables]:
    """Yield the comparison now, and again whenever a run starts or ends; end when no run is active any more.

    While a run is active, the comparison is also yielded every half minute because the learning curves grow.

    Args:
        make_comparison: makes the comparison of `roots`.
        roots: folders of runs, of sweeps, or of both.
        clock: monotonic clock, in seconds.
        sleep: waits this many seconds.

    Raises:
        UserError: a folder does not exist, or none of them has a run or a waiting job.
    """
    run_states, previous, compared_at, shown = RunStates(roots), None, 0.0, False
    last_active = clock()
    while True:
        states = run_states.read()
        state = states, run_states.waiting
        running = any(status == "running" for _, status, *_ in states.values())
        waiting = run_states.waiting or (states and not run_states.runs)  # after its trials, a search has runs
        if running or state != previous:
            last_active = clock()
        ended = not running and (not waiting or clock() - last_active >= IDLE_SECONDS)
        if state != previous or (running and clock() - compared_at >= CURVES_SECONDS):
            if run_states.runs:
                yield make_comparison()
                shown = True
            previous, compared_at = state, clock()
        if ended:
            if not shown:
                yield make_comparison()  # says what is missing
            return
        sleep(POLL_SECONDS)
