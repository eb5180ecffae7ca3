"""Interfaces of the launchers: the job that is run, its outcome, and the executors that run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ftlab.config.run_config import RunConfig


@dataclass(frozen=True)
class Job:
    """One experiment to run.

    Attributes:
        config: the configuration; its processes read it from config.yaml.
        directory: the run's folder.
    """

    config: RunConfig
    directory: Path


@dataclass(frozen=True)
class Outcome:
    """How the processes of a job ended. The record has the details if they could write it.

    Attributes:
        exit_codes: exit code of each rank; negative: the signal that killed it.
        stop_reason: why the job was asked to stop; None if it was not.
        out_of_memory: whether the kernel's OOM killer ended processes during the job.
    """

    exit_codes: tuple[int, ...]
    stop_reason: Literal["timeout", "interrupted", "pruned"] | None = None
    out_of_memory: bool = False


class Watcher(Protocol):
    """Listener that an executor notifies of the state of its jobs."""

    def started(self, job: Job) -> None:
        """Handle the start of a job: its processes exist now."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Handle the end of a job: none of its processes is left."""

    def tick(self) -> None:
        """Do periodic work; called about once a second."""


class Executor(Protocol):
    """Runs jobs on this machine or on a cluster."""

    def check(self, job: Job) -> None:
        """Check that the job can run here, before anything is written or started.

        Raises:
            UserError: names the settings that contradict each other.
        """

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """Run all jobs until they succeed or fail; leave no process on this machine, even after an exception."""

    def is_submitted(self, job: Job) -> bool:
        """Return whether an earlier command submitted the job already: it is monitored then, not started again."""

    def prune(self, job: Job) -> None:
        """Stop a running job before its end; the others keep running."""
