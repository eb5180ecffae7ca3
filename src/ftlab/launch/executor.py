"""Queue of jobs: the jobs, what happens to them, and the base class of the executors that run them."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftlab.config.run_config import RunConfig
from ftlab.record.folder import PRUNED


@dataclass(frozen=True)
class Job:
    """One experiment to run.

    Attributes:
        config: the configuration; its processes read it from config.yaml.
        directory: the run's folder.
        command: command line of the sweep, for the record.
        import_from_cwd: whether modules are also searched in the working directory; only the local executor can do
            without, as the others run what was typed.
    """

    config: RunConfig
    directory: Path
    command: list[str]
    import_from_cwd: bool = True


@dataclass(frozen=True)
class Outcome:
    """How the processes of a job ended. The record has the details if they could write it.

    Attributes:
        exit_codes: exit code of each rank; negative: the signal that killed it; empty: not known, or none started.
        stop_reason: why the job was asked to stop; None if it was not.
        out_of_memory: whether the kernel's OOM killer ended processes during the job.
    """

    exit_codes: tuple[int, ...]
    stop_reason: Literal["timeout", "interrupted", "pruned"] | None = None
    out_of_memory: bool = False


@dataclass(frozen=True, eq=False)
class Handle:
    """One submission of a job, compared by identity: a job that has ended may be submitted again."""

    job: Job


@dataclass(frozen=True)
class Started:
    """The job has started: its processes exist now, or it is in the cluster's queue."""

    handle: Handle


@dataclass(frozen=True)
class Ended:
    """The job has ended: none of its processes is left. It comes without `Started` if it was cancelled before."""

    handle: Handle
    outcome: Outcome


@dataclass(frozen=True)
class Tick:
    """Nothing else has happened for about a second."""


Event = Started | Ended | Tick


class Executor(ABC):
    """Queue of jobs that run on this machine or on a cluster; jobs may be added while others run.

    `run` is all that a list of jobs needs. Whoever iterates over `events` does so inside `stopping`, which leaves no
    job behind.
    """

    def __init__(self) -> None:
        """Begin with an empty queue."""
        self._waiting: deque[Handle] = deque()
        self._running: dict[Handle, Any] = {}  # with what the executor knows of each, such as its processes
        self._started: set[Handle] = set()  # those that `Started` was noted for
        self._cancelled: set[Handle] = set()  # those that were asked to stop because their result is not needed
        self._noted: deque[Started | Ended] = deque()  # events that `events` has not yielded yet

    @abstractmethod
    def check(self, job: Job) -> None:
        """Check that the job can run here, before anything is written or started.

        Raises:
            UserError: names the settings that contradict each other.
        """

    @abstractmethod
    def is_submitted(self, job: Job) -> bool:
        """Return whether an earlier command submitted the job already: it is monitored then, not started again."""

    def submit(self, job: Job) -> Handle:
        """Add a job to the queue; it starts during `events`, also if they are being iterated over."""
        handle = Handle(job)
        self._waiting.append(handle)
        return handle

    def cancel(self, handle: Handle) -> None:
        """Stop a job before its end because its result is no longer needed; its outcome is `pruned`.

        A job that still waits is never started, and one that has ended stays as it is. The others keep running.
        """
        if handle in self._waiting:
            self._waiting.remove(handle)
            self._noted.append(Ended(handle, Outcome(exit_codes=(), stop_reason="pruned")))
        elif handle in self._running and handle not in self._cancelled:
            self._cancelled.add(handle)
            with suppress(FileNotFoundError):  # the folder is gone
                (handle.job.directory / PRUNED).touch()  # the job cannot tell this signal from others
            self._cancel(handle)

    def events(self) -> Iterator[Event]:
        """Yield what happens to the jobs until every submitted one has ended: one `Ended` for each.

        Jobs may be submitted and cancelled between two events, and `events` called again after further submissions.

        Raises:
            UserError: the cluster refuses jobs, or does not answer.
        """
        while self._waiting or self._running or self._noted:
            if self._waiting:
                self._start_waiting()
            if self._running and not self._noted:
                self._wait()
                if not self._noted:
                    yield Tick()
            while self._noted:
                yield self._noted.popleft()

    def run(self, jobs: Iterable[Job], handle_event: Callable[[Event], None]) -> None:
        """Run jobs, and those that `handle_event` submits, until all have ended; see `events` and `stopping`."""
        with self.stopping(handle_event):
            for job in jobs:
                self.submit(job)
            for event in self.events():
                handle_event(event)

    @contextmanager
    def stopping(self, handle_event: Callable[[Started | Ended], None]) -> Iterator[None]:
        """Stop at the end of the block what still runs: all jobs of this machine, however the block ends.

        A second interrupt, while the jobs write their checkpoints, kills them at once.

        Args:
            handle_event: called with what has happened to jobs that were started since the last event of `events`.
        """
        try:
            yield
        finally:
            try:
                self._stop()
            finally:
                noted, self._noted = self._noted, deque()
                with ExitStack() as ends:  # each is handled, also after an error in the one before
                    ends.callback(self._waiting.clear)  # the last: with jobs that are submitted meanwhile
                    for event in reversed(noted):
                        if event.handle in self._started:
                            ends.callback(handle_event, event)

    @abstractmethod
    def _start_waiting(self) -> None:
        """Move the jobs that can start now from `_waiting` to `_running`."""

    @abstractmethod
    def _wait(self) -> None:
        """Wait about a second, or until a job ends; note what has happened to the jobs in `_running`."""

    @abstractmethod
    def _cancel(self, handle: Handle) -> None:
        """Ask a running job to stop; called once for each."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop all running jobs of this machine and note their ends; also after an exception, leave no process."""

    def _note_started(self, handle: Handle) -> None:
        self._started.add(handle)
        self._noted.append(Started(handle))

    def _note_ended(self, handle: Handle, outcome: Outcome) -> None:
        del self._running[handle]
        self._noted.append(Ended(handle, outcome))
