"""Jobs as tasks of Ray: on a cluster, or on one of the sweep's own on this machine.

A task runs its job on its node as `launch.local` does on this one, so the devices of a job are those of one node. Every
node needs ftlab, and the sweep's folder under the same path.
"""

import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read on import; nothing of ftlab's calls home

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError

from ftlab.errors import ConfigError
from ftlab.launch.failures import LOGS
from ftlab.launch.job import Job, Outcome, Watcher
from ftlab.launch.local import LocalExecutor

_TICK_SECONDS = 0.5
_STOP_SECONDS = 60.0  # for cancelled tasks to end; their jobs have half of it to leave a checkpoint


@dataclass
class _Task:
    """A job that Ray was given.

    Attributes:
        job: what it runs.
        told: what it tells, one after the other: None as it starts, and its outcome.
        started: whether it told the first.
        pruned: whether it was cancelled because others are ahead of it.
    """

    job: Job
    told: Any
    started: bool = False
    pruned: bool = False


class RayExecutor:
    """Gives each job to Ray as a task, which waits until a node has room for it."""

    def __init__(self, address: str, at_once: int | None) -> None:
        """Take the cluster, and how many tasks it is given at a time.

        Args:
            address: as `ray.init` takes it; `local`: a cluster of this process's own, which ends with it.
            at_once: most tasks at a time; None: as many as fit.
        """
        self._address = address
        self._at_once = at_once
        self._tasks: list[_Task] = []

    def check(self, job: Job) -> None:
        """See `Executor`: refuse what no node has room for, which Ray would wait for without end."""
        _connect(self._address)
        _needs(job)

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """See `Executor`."""
        waiting = deque(jobs)
        try:
            while waiting or self._tasks:
                while waiting and len(self._tasks) < (self._at_once or len(jobs)):
                    job = waiting.popleft()
                    there = replace(job, directory=job.directory.resolve())
                    task = _run_job.options(name=job.directory.name, **_needs(job))
                    told = task.remote(there, command, os.getcwd())
                    self._tasks.append(_Task(job, told))
                self._hear(watcher)
                watcher.tick()
        except BaseException as error:
            self._stop(watcher)
            if isinstance(error, SystemError) and error.__cause__:  # a signal's exception, wrapped by Ray's C code
                raise error.__cause__ from None
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

    def _hear(self, watcher: Watcher) -> None:
        """Wait a moment, and pass on what tasks tell."""
        time.sleep(_TICK_SECONDS)  # not in Ray's C code, which signals had better not interrupt
        told = [task.told for task in self._tasks]
        ready, _ = ray.wait(told, num_returns=len(told), timeout=0)
        for task in [task for task in self._tasks if task.told in ready]:
            outcome = _next(task)
            if not task.started and not (outcome and outcome.stopped):  # one that never ran has no end either
                task.started = True
                watcher.started(task.job)
            if outcome:
                self._tasks.remove(task)
                if task.started:
                    watcher.ended(task.job, outcome)

    def _stop(self, watcher: Watcher) -> None:
        """Cancel all tasks, wait for their jobs to leave a checkpoint, and leave the cluster."""
        try:
            for task in self._tasks:
                ray.cancel(task.told)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._tasks and time.monotonic() < deadline:
                self._hear(watcher)
        finally:  # a second Ctrl-C does not wait
            for task in self._tasks:
                if task.started:
                    watcher.ended(task.job, Outcome(codes=(1,), stopped="interrupted"))
            self._tasks.clear()
            ray.shutdown()


@ray.remote(max_retries=0)
def _run_job(job: Job, command: list[str], folder: str) -> Iterator[Outcome | None]:
    """Run a job on this node; cancelling raises KeyboardInterrupt here, which stops it as Ctrl-C would."""
    yield None
    os.chdir(folder)  # where the sweep was started: paths of the configuration may be relative
    end = _End()
    LocalExecutor(at_once=1).run([job], command, end)
    yield end.outcome


class _End:
    """The `Watcher` of one job that keeps its outcome."""

    outcome: Outcome | None = None

    def started(self, job: Job) -> None:
        pass

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.outcome = outcome

    def tick(self) -> None:
        pass


def _next(task: _Task) -> Outcome | None:
    """Return what the task told: None that it runs, or how it ended."""
    try:
        told: Outcome | None = ray.get(next(task.told))
        return told
    except TaskCancelledError:
        return Outcome(codes=(1,), stopped="pruned" if task.pruned else "interrupted")
    except OutOfMemoryError:
        return Outcome(codes=(-signal.SIGKILL,), out_of_memory=True)
    except RayTaskError as error:  # not the job's, which is in its record: ftlab is missing there, or broken
        _log(task.job.directory / LOGS / "job.log", str(error))
        return Outcome(codes=(1,))
    except RayError:  # its node is gone
        return Outcome(codes=(-signal.SIGKILL,))


def _log(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{text}\n")


def _connect(address: str) -> None:
    """Join the cluster, or start it; where that is done, it stays until this process ends."""
    if ray.is_initialized():
        return
    heard = signal.getsignal(signal.SIGTERM)
    dashboard = False if address == "local" else None
    try:
        ray.init(address, include_dashboard=dashboard, log_to_driver=False, configure_logging=False)
    except ConnectionError:
        raise ConfigError(
            f"hydra.launcher.address={address} is no Ray cluster that can be reached: start it (ray start --head), or "
            "use hydra.launcher.address=local."
        ) from None
    signal.signal(signal.SIGTERM, heard)  # Ray has put its own in place


def _needs(job: Job) -> dict[str, float]:
    """Return what the job takes of its node: its devices, and a core for each of them or for each of their threads."""
    hardware = job.config.hardware
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    on_gpus = hardware.accelerator == "gpu" or (hardware.accelerator == "auto" and has_gpus)
    cpus, gpus = hardware.devices * (hardware.threads or 1), hardware.devices if on_gpus else 0
    if hardware.num_nodes > 1:
        raise ConfigError("hydra/launcher=ray runs a job on one node: set hardware.num_nodes=1, or use Slurm.")
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        raise ConfigError(
            f"hardware={hardware.name} wants {cpus} CPUs and {gpus} GPUs of one node and the Ray cluster has no such "
            "node: lower hardware.devices or hardware.threads."
        )
    return {"num_cpus": cpus, "num_gpus": gpus}
