"""Jobs as Ray tasks: on a cluster of Ray's, or on one of its own on this machine, which ends with the sweep.

A task runs the job on its node the way a job runs on this machine, so a job's devices are those of one node. Nodes
need ftlab, and the sweep's folder under the same path.
"""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError

from ftlab.errors import ConfigError
from ftlab.launch.job import Job, Outcome, Watcher
from ftlab.launch.local import LocalExecutor

_TICK_SECONDS = 0.5
_STOP_SECONDS = 60.0  # for tasks to end after they were cancelled; their jobs have 30 to leave a checkpoint


@dataclass
class _Task:
    """A job that Ray was given.

    Attributes:
        job: the job.
        told: what the task tells, one after the other: that it runs, and how it ended.
        running: whether it told the first.
        pruned: whether it was told to stop, for others are ahead of it.
    """

    job: Job
    told: Any
    running: bool = False
    pruned: bool = False


class RayExecutor:
    """Gives every job to Ray as a task of its own, which waits until its devices are free."""

    def __init__(self, address: str | None, at_once: int | None) -> None:
        """Take the cluster and how many tasks it is given at a time.

        Args:
            address: of the cluster, as `ray.init` takes it; None: a cluster of its own on this machine.
            at_once: most tasks at a time; None: as many as fit.
        """
        self._address = address
        self._at_once = at_once
        self._tasks: list[_Task] = []

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """See `Executor`."""
        with _cluster(self._address):
            needs = {job.directory: _needs(job) for job in jobs}
            waiting = deque(jobs)
            try:
                while waiting or self._tasks:
                    while waiting and len(self._tasks) < (self._at_once or len(jobs)):
                        job = waiting.popleft()
                        told = _run_job.options(name=job.directory.name, **needs[job.directory]).remote(job, command)
                        self._tasks.append(_Task(job, told))
                    ray.wait([task.told for task in self._tasks], timeout=_TICK_SECONDS)
                    self._hear(watcher)
                    watcher.tick()
            except BaseException:
                self._stop(watcher)
                raise

    def holds(self, job: Job) -> bool:
        """See `Executor`: no task outlives the process that asked for it."""
        return False

    def prune(self, job: Job) -> None:
        """See `Executor`."""
        for task in self._tasks:
            if task.job is job and not task.pruned:
                task.pruned = True
                ray.cancel(task.told)
