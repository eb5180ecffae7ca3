"""What is launched, and what is known of it when it is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ftlab.schema import RunConfig


@dataclass(frozen=True)
class Job:
    """One experiment to run.

    Attributes:
        config: what its processes read from config.yaml.
        directory: the run's folder.
    """

    config: RunConfig
    directory: Path


@dataclass(frozen=True)
class Outcome:
    """How the processes of a job ended. The record says more, where they could write it.

    Attributes:
        codes: exit status by rank; below zero: the signal that ended it.
        stopped: why the job was told to stop, if it was.
        out_of_memory: whether the kernel ended processes for want of memory meanwhile.
    """

    codes: tuple[int, ...]
    stopped: Literal["timeout", "interrupted", "pruned"] | None = None
    out_of_memory: bool = False


class Watcher(Protocol):
    """Who wants to know what becomes of the jobs."""

    def started(self, job: Job) -> None:
        """Tell that the job's processes are there."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Tell that none of them is left."""

    def tick(self) -> None:
        """Give a chance to look around, about once a second."""


class Executor(Protocol):
    """Runs jobs somewhere."""

    def check(self, job: Job) -> None:
        """Refuse what cannot be run here, before anything is written or started.

        Raises:
            UserError: one sentence on what does not fit together.
        """

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """Run all jobs to their end, whatever it is; leave no process on this machine, by whatever way this is left."""

    def holds(self, job: Job) -> bool:
        """Whether the job is on its way already, since an earlier command: it is watched, not started again."""

    def prune(self, job: Job) -> None:
        """Stop a running job that need not come to its end; the others go on."""
