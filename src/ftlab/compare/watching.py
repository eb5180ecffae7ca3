"""The comparison of a sweep that still runs: read again while it changes, until nothing runs any more."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftlab.compare.comparison import Comparison
from ftlab.errors import UserError
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.record.folder import CONFIG

POLL_SECONDS = 2.0
CURVES_SECONDS = 30.0  # while something runs: no state has changed, and the curves have grown
IDLE_SECONDS = 60.0  # jobs wait and none has run for so long: their sweep was stopped


@dataclass
class States:
    """The state of every run below some folders. A record that has not changed since it was read is not read again."""

    roots: Sequence[Path]
    waiting: int = 0  # jobs that have no record yet
    _read: dict[Path, tuple[tuple[int, int], RunRecord]] = field(default_factory=dict)

    def read(self) -> dict[Path, tuple[str, ...]]:
        """Return what of each run would change a table; of a sign of life, nothing does."""
        states: dict[Path, tuple[str, ...]] = {}
        folders = {path.parent for root in self.roots for name in (FILE_NAME, CONFIG) for path in root.rglob(name)}
        self.waiting = 0
        for folder in folders:
            record = self._record(folder)
            if record is None:
                self.waiting += 1
            else:
                states[folder] = (record.run_id, record.status, record.started_at, record.finished_at or "")
        return states

    def _record(self, folder: Path) -> RunRecord | None:
        try:
            stat = (folder / FILE_NAME).stat()
            now = (stat.st_mtime_ns, stat.st_size)
            known = self._read.get(folder)
            if known is None or known[0] != now or known[1].status == "running":  # its process may be gone
                self._read[folder] = (now, read_record(folder))
            return self._read[folder][1]
        except (FileNotFoundError, UserError):  # not there yet; what is broken, the comparison says
            return None


def comparisons(
    compared: Callable[[], Comparison],
    roots: Sequence[Path],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Comparison]:
    """Yield the comparison now, and again whenever a run began or ended; end when nothing runs any more.

    While something runs, it is yielded every half minute too, for the learning curves grow.

    Args:
        compared: compares them.
        roots: folders of runs, of sweeps, or of both.
        clock: seconds that only grow.
        sleep: waits so many seconds.

    Raises:
        UserError: a folder does not exist, or neither a run nor a job that waits lies in any of them.
    """
    states, seen, made = States(roots), None, 0.0
    active = clock()  # when something last ran
    while True:
        found = states.read()
        running = any(status == "running" for _, status, *_ in found.values())
        if running or found != seen:
            active = clock()
        if found != seen or (running and clock() - made >= CURVES_SECONDS):
            if found or not states.waiting:
                yield compared()
            seen, made = found, clock()
        if not running and (not states.waiting or clock() - active >= IDLE_SECONDS):
            return
        sleep(POLL_SECONDS)
