"""Several experiments, each in processes of its own, and the comparison at the end, whatever failed."""

import contextlib
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import yaml
from filelock import FileLock, Timeout
from rich.console import Console

from ftlab import compare, trackers
from ftlab.errors import Failed, UserError
from ftlab.fingerprint import config_hash
from ftlab.launch.display import Display
from ftlab.launch.failures import clear_failures
from ftlab.launch.job import Executor, Job, Outcome
from ftlab.launch.settling import halve, settled
from ftlab.record import (
    BEAT_SECONDS,
    FILE_NAME,
    Progress,
    RunRecord,
    read_record,
)
from ftlab.record.folder import CONFIG
from ftlab.reporting import publish, report
from ftlab.schema import RunConfig

TRIAL = "trial"  # the names of their folders begin with it
_LOCK = ".lock"
_UNFINISHED = ("running", "interrupted", "timeout")  # gone on with by the same command


class JobsFailed(Failed):
    """At least one job of a sweep did not complete; its record says why."""


class Interrupted(Exception):
    """The user stopped the sweep; carries the signal's number."""

    def __init__(self, signum: int) -> None:
        """Keep the signal for the exit status."""
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


def run_sweep(
    configs: list[RunConfig],
    directory: Path,
    executor: Executor,
    hopeless: Callable[[RunConfig, Progress], bool] | None = None,
    quiet: bool = False,
) -> list[RunRecord]:
    """Run what is not complete yet, and compare what came out.

    A job that fails is recorded and the others go on. What is complete is not run again, what is partial is gone on
    with, what failed is tried again with `sweep.retry=failed`.

    Args:
        configs: the experiments.
        directory: the sweep's folder; each run becomes a folder in it, next to the comparison.
        executor: runs the jobs, here or on a cluster.
        hopeless: asked now and then whether a run that is so far need not come to its end; such a run fails as pruned.
        quiet: write the comparison, and do not show it.

    Returns:
        The record of each experiment, in order.

    Raises:
        UserError: another sweep works in this folder, or a record in it cannot be read; nothing was started.
        Interrupted: after SIGINT, SIGTERM or SIGHUP; the comparison of what there is has been written all the same.
    """
    console = Console()
    jobs = list({run_name(config): Job(config, directory / run_name(config)) for config in configs}.values())
    reported: tuple[compare.Comparison, list[Path]] | None = None
    with only_one(directory):
        try:
            with signals_as_interrupts(), Display(console, len(jobs)) as display:
                _Sweep(executor, display, hopeless).run(jobs)
        finally:
            if any(not is_trial(path.parent) for path in directory.glob(f"*/{FILE_NAME}")):
                comparison = compare.compare([directory])
                reported = comparison, report(comparison, directory, Console(quiet=True) if quiet else console)
        if reported and not quiet:
            publish(configs, *reported, directory, console)
    return [read_record(directory / run_name(config)) for config in configs]


def run_name(config: RunConfig) -> str:
    """Return the folder name of a run: readable, and unique for what determines the result, and for its role."""
    parts = (
        *([TRIAL] if config.search.role == "trial" else []),
        config.method.name,
        config.model.name,
        config.dataset.name,
        f"s{config.seed}",
        config_hash(config)[:8],
    )
    return "-".join(re.sub(r"[^\w.]+", "_", Path(part).name).strip("_") for part in parts)


def is_trial(directory: Path) -> bool:
    """Whether the folder of a run is that of a trial: there is nothing to compare where there are no others."""
    return directory.name.startswith(f"{TRIAL}-")


@dataclass
class _Sweep:
    """The jobs on their way through the executor; the `Watcher` that it reports to."""

    executor: Executor
    display: Display
    hopeless: Callable[[RunConfig, Progress], bool] | None
    running: list[Job] = field(default_factory=list)
    again: list[Job] = field(default_factory=list)

    def run(self, jobs: list[Job]) -> None:
        waiting = [job for job in jobs if self._is_wanted(job)]
        new = [job for job in waiting if not self.executor.holds(job)]
        for job in new:
            trackers.require(job.config.tracker)
            self.executor.check(job)
        for job in new:
            prepare(job)
        while waiting:
            self.executor.run(waiting, _command(), self)
            waiting, self.again = self.again, []

    def started(self, job: Job) -> None:
        self.running.append(job)
        self.display.started(job)

    def tick(self) -> None:
        for job in self.running:
            if (job.directory / FILE_NAME).exists():
                record = read_record(job.directory)
                self.display.follow(job, record)
                if self.hopeless and record.progress and self.hopeless(job.config, record.progress):
                    self.executor.prune(job)

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.running.remove(job)
        record = settled(job, outcome, _command())
        self.display.ended(job, record)
        if record.status == "oom" and job.config.budget.oom == "halve_batch" and halve(job, record):
            self.again.append(job)

    def _is_wanted(self, job: Job) -> bool:
        if not (job.directory / FILE_NAME).exists():
            return True
        record = read_record(job.directory)
        if record.status == "completed":
            self.display.skipped(job, "complete already, not run again")
            return False
        if record.status in _UNFINISHED or job.config.sweep.retry == "failed":
            return True
        self.display.skipped(job, f"{record.status} before, not run again: sweep.retry=failed tries it once more")
        return False


@contextlib.contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Keep other sweeps out of the folder; the lock ends with this process, however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another sweep is at work in {directory}: wait for it, or choose another sweep.name."
        ) from None
    try:
        yield
    finally:
        lock.release()
        if [path.name for path in directory.iterdir()] == [_LOCK]:  # nothing was started
            (directory / _LOCK).unlink()
            directory.rmdir()


def prepare(job: Job) -> None:
    """Make the run's folder ready for an attempt; what an earlier one left to go on with stays."""
    if (job.directory / FILE_NAME).exists():
        _refuse_what_is_running(job.directory)
    job.directory.mkdir(parents=True, exist_ok=True)
    clear_failures(job.directory)
    resolved = job.config.model_dump(mode="json", by_alias=True)
    text = yaml.safe_dump(resolved, allow_unicode=True, sort_keys=False)
    (job.directory / CONFIG).write_text(text, encoding="utf-8")


def _refuse_what_is_running(directory: Path) -> None:
    """Raise where the run's process gives signs of life; one that was lost on another machine gives no new ones."""
    first = read_record(directory).process
    while (record := read_record(directory)).status == "running" and record.process and first:
        if record.process.heartbeat != first.heartbeat or record.process.host == socket.gethostname():
            raise UserError(f"{directory} is being run by process {record.process.pid} on {record.process.host}.")
        time.sleep(BEAT_SECONDS)


def _command() -> list[str]:
    """Return the command line behind this sweep, as a reader would type it."""
    return [*program(), *sys.argv[1:]]


def program() -> list[str]:
    """Return how ftlab was called, as a reader would type it."""
    name = Path(sys.argv[0]).name
    return ["python", name] if name.endswith(".py") else [name]


@contextlib.contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `Interrupted` for SIGINT, SIGTERM and SIGHUP in the block."""

    def interrupt(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
