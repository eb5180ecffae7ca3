"""Sweep of several jobs, each in its own processes, with a comparison at the end even if some have failed."""

import contextlib
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from ftlab import trackers
from ftlab.comparison import ComparisonTables, compare
from ftlab.config.fingerprint import config_hash
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import Failed, UserError
from ftlab.core.terminal import Terminal
from ftlab.launch.display import Display
from ftlab.launch.executor import Ended, Event, Executor, Handle, Job, Outcome, Started, Tick
from ftlab.launch.failures import clear_failures
from ftlab.launch.finalize import finalized, retry_with_smaller_micro_batch
from ftlab.launch.job_config import remove_secrets, write_job_config
from ftlab.launch.job_labels import job_labels
from ftlab.record import (
    FILE_NAME,
    HEARTBEAT_SECONDS,
    Progress,
    RunRecord,
    TornFile,
    read_record,
    set_aside_torn_record,
)
from ftlab.record.folder import PRUNED
from ftlab.sweeps.command_line import command_line
from ftlab.sweeps.interrupts import Interrupted, resuming_remedy, signals_as_interrupts
from ftlab.sweeps.report import publish_comparison, report_comparison
from ftlab.sweeps.waiting import remove_waiting

TRIAL_PREFIX = "trial"  # first part of the folder names of trials
# and of runs with search.per_seed: the same settings, chosen for all seeds together, are another experiment
PER_SEED_PREFIX = "per_seed"
_NAME_BYTES = 200  # of a run's folder, at most: file systems take 255, and removal puts some in front
LOCK = ".lock"  # in the folder of a sweep, while it runs and after it


class JobsFailed(Failed):
    """At least one job of a sweep did not complete; its record has the reason.

    Attributes:
        directory: the sweep's folder; of a single run that was started and failed, its own.
    """

    def __init__(self, message: str, directory: Path) -> None:
        """Store the folder."""
        super().__init__(message, directory)  # all arguments, so that it can be pickled
        self.directory = directory

    def __str__(self) -> str:
        return str(self.args[0])


def run_sweep(
    configs: list[RunConfig],
    directory: Path,
    executor: Executor,
    should_prune: Callable[[RunConfig, Progress], bool] | None = None,
    quiet: bool = False,
    retry_all: bool = False,
    import_from_cwd: bool = True,
) -> list[RunRecord]:
    """Run all jobs that are not complete yet, and compare the results.

    A job that fails is recorded and the others keep running. Complete and pruned runs are not repeated, partial runs
    are resumed, and failed ones are run again only with `sweep.retry=failed`.

    Args:
        configs: the experiments.
        directory: the sweep's folder; it gets a subfolder for each run, and the comparison.
        executor: runs the jobs, here or on a cluster.
        should_prune: whether to prune a run at this point, called about once a second.
        quiet: write the comparison, but do not print it.
        retry_all: run again all that have no result, pruned runs too, whatever `sweep.retry` says.
        import_from_cwd: whether the jobs may import modules from the working directory.

    Returns:
        The record of each experiment, in order.

    Raises:
        UserError: another sweep is running in this folder, or a record in it cannot be read; nothing was started.
        Interrupted: after SIGINT, SIGTERM or SIGHUP; the comparison of the runs so far has been written.
    """
    console = Terminal()
    command = command_line()
    folders = {run_name(config): config for config in configs}
    jobs = [Job(config, directory / name, command, import_from_cwd) for name, config in folders.items()]
    labels = dict(zip(folders, job_labels(list(folders.values())), strict=True))
    reported: tuple[ComparisonTables, list[Path]] | None = None
    with sweep_lock(directory):
        try:
            with signals_as_interrupts(), Display(console, len(jobs), labels) as display:
                # a search has other jobs than these, and so has the sweep of a run that is run again
                is_whole_sweep = not (quiet or retry_all)
                _Sweep(executor, display, should_prune, retry_all, is_whole_sweep).run(jobs)
        except Interrupted as error:
            raise Interrupted(error.signum, resuming_remedy(directory)) from None
        finally:
            if any(not is_trial_dir(path.parent) for path in directory.glob(f"*/{FILE_NAME}")):
                comparison = compare([directory])
                paths = report_comparison(comparison, directory, Terminal(quiet=True) if quiet else console)
                reported = comparison, paths
        if reported and not quiet:
            publish_comparison(configs, *reported, directory, console)
    return [read_record(directory / run_name(config)) for config in configs]


def run_name(config: RunConfig) -> str:
    """Return the folder name of a run: readable, and unique for its configuration and its role in a search."""
    is_searched = config.search.per_seed and config.method.lr is not None
    parts = (
        *([TRIAL_PREFIX] if config.search.role == "trial" else [PER_SEED_PREFIX] if is_searched else []),
        config.method.name,
        config.model.name,
        config.dataset.name,
        f"s{config.seed}",
        config_hash(config)[:8],
    )
    words = [re.sub(r"[^\w.]+", "_", Path(part).name).strip("_") for part in parts]
    while (excess := len("-".join(words).encode()) - _NAME_BYTES) > 0:
        longest = max(words, key=lambda word: len(word.encode()))
        words[words.index(longest)] = longest.encode()[:-excess].decode(errors="ignore")
    return "-".join(words)


def is_trial_dir(directory: Path) -> bool:
    """Return whether a run's folder is that of a trial; trials alone are not compared."""
    return directory.name.startswith(f"{TRIAL_PREFIX}-")


@dataclass
class _Sweep:
    """Jobs of a sweep while the executor runs them."""

    executor: Executor
    display: Display
    should_prune: Callable[[RunConfig, Progress], bool] | None
    retry_all: bool
    is_whole_sweep: bool  # whether the sweep has no other jobs
    running: list[Handle] = field(default_factory=list)

    def run(self, jobs: list[Job]) -> None:
        for job in jobs:
            if note := set_aside_torn_record(job.directory):
                self.display.note(f"{job.directory.name}: {note}")
        waiting = [job for job in jobs if self._should_run(job)]
        new = [job for job in waiting if not self.executor.is_submitted(job)]
        for job in new:
            trackers.require_tracker(job.config.tracker)
            self.executor.check(job)
        if self.is_whole_sweep:
            for name in remove_waiting(jobs):
                self.display.note(f"{name}: never started, and not asked for any more: it is no longer waiting")
        for job in new:
            prepare_run_dir(job)
        self.executor.run(waiting, self._handle)

    def _handle(self, event: Event) -> None:
        match event:
            case Started(handle):
                self.running.append(handle)
                self.display.started(handle.job)
            case Ended(handle, outcome):
                self._ended(handle, outcome)
            case Tick():
                for handle in self.running:
                    self._follow(handle)

    def _follow(self, handle: Handle) -> None:
        """Show how far a job is, and prune it if others do better."""
        if (handle.job.directory / FILE_NAME).exists():
            try:
                record = read_record(handle.job.directory)
            except TornFile:  # its end, or its next heartbeat, writes another one
                return
            self.display.update(handle.job, record)
            decides = self.should_prune if record.status == "running" else None  # an end that is recorded stays
            if decides and record.progress and decides(handle.job.config, record.progress):
                self.executor.cancel(handle)

    def _ended(self, handle: Handle, outcome: Outcome) -> None:
        job = handle.job
        record = finalized(job, outcome)
        if handle not in self.running:
            self.display.skipped(job, f"{record.status} before it started")
            remove_secrets(job.directory)
            return
        self.running.remove(handle)
        self.display.ended(job, record)
        halves = record.status == "oom" and job.config.budget.oom == "halve_batch"
        if halves and retry_with_smaller_micro_batch(job, record):
            self.executor.submit(job)
        else:
            remove_secrets(job.directory)

    def _should_run(self, job: Job) -> bool:
        reason = _reason_to_skip(job, self.retry_all)
        if reason is not None:
            self.display.skipped(job, reason)
            remove_secrets(job.directory)  # of a job that ended on a cluster while nobody monitored it
        return reason is None


def _reason_to_skip(job: Job, retry_all: bool) -> str | None:
    """Return why a job is not run; None: it has not run yet, or goes on."""
    if not (job.directory / FILE_NAME).exists():
        return None
    record = read_record(job.directory)
    match record.status:
        case "completed":
            return "already complete, not run again"
        case "pruned":
            return None if retry_all else f"pruned earlier, not run again: ftlab rerun {job.directory} runs it again"
        case "paused":
            ended = "its rung ended earlier, not run again: a larger search.rung, or none, continues it"
            return None if _goes_beyond(job.config.search.rung, record) else ended
        case "running" | "interrupted" | "timeout":  # the same command resumes it
            return None
        case failed:
            again = retry_all or job.config.sweep.retry == "failed"
            return None if again else f"{failed} earlier, not run again: sweep.retry=failed runs it again"


def _goes_beyond(rung: float | None, record: RunRecord) -> bool:
    """Return whether a rung ends later than the one at whose end a run has paused; None: the run goes to its end."""
    search = record.config.get("search")  # as the record has it, which anybody may have edited
    paused_at = search.get("rung") if isinstance(search, dict) else None
    return rung is None or not isinstance(paused_at, int | float) or not rung <= paused_at


@contextlib.contextmanager
def sweep_lock(directory: Path) -> Iterator[None]:
    """Lock the sweep's folder against other sweeps; the lock ends with this process, however that ends.

    Raises:
        UserError: another sweep holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another sweep is running in {directory}: wait for it, or choose another sweep.name."
        ) from None
    try:
        yield
    finally:
        lock.release()
        if [path.name for path in directory.iterdir()] == [LOCK]:  # nothing was started
            (directory / LOCK).unlink()
            directory.rmdir()


def prepare_run_dir(job: Job) -> None:
    """Prepare the run's folder for an attempt; checkpoints of an earlier one are kept.

    Raises:
        UserError: another process is running it.
    """
    if (job.directory / FILE_NAME).exists():
        _require_not_running(job.directory)
    job.directory.mkdir(parents=True, exist_ok=True)
    clear_failures(job.directory)
    (job.directory / PRUNED).unlink(missing_ok=True)  # of a sweep that was killed while it pruned the run
    write_job_config(job.directory, job.config)


def _require_not_running(directory: Path) -> None:
    """Raise an error if the run's process is alive: it is on this machine, or its heartbeat changes."""
    first = read_record(directory).process
    while (record := read_record(directory)).status == "running" and record.process and first:
        if record.process.heartbeat != first.heartbeat or record.process.host == socket.gethostname():
            raise UserError(
                f"process {record.process.pid} on {record.process.host} is running {directory}: wait for it to end."
            )
        time.sleep(HEARTBEAT_SECONDS)
