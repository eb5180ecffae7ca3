"""Executor for Ray: each job is a task, on an existing cluster or on a temporary one on this machine.

A task runs its job on its node with `LocalExecutor`, so all devices of a job are on one node. Every node needs ftlab,
and the sweep's folder under the same path.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read on import; ftlab sends no usage statistics

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError

from ftlab.core.errors import ConfigError
from ftlab.launch.executor import Ended, Event, Executor, Handle, Job, Outcome
from ftlab.launch.failures import LOGS
from ftlab.launch.local import LocalExecutor

_TICK_SECONDS = 0.5
_STOP_SECONDS = 60.0  # for cancelled tasks to end; their jobs have half of it to write a checkpoint


@dataclass
class _Task:
    """Ray task of a job.

    Attributes:
        results: generator of references to what the task yields: None when it starts, then its outcome.
        started: whether it has yielded the first result.
    """

    results: Any
    started: bool = False


@contextmanager
def _signals_unwrapped() -> Iterator[None]:
    """Raise the exception of a signal as it is, where Ray's C code has wrapped it."""
    try:
        yield
    except SystemError as error:
        if error.__cause__:
            raise error.__cause__ from None
        raise


class RayExecutor(Executor):
    """Submits each job to Ray as a task, which waits until a node has the resources."""

    _running: dict[Handle, _Task]

    def __init__(self, address: str, max_parallel: int | None) -> None:
        """Set the cluster and the number of tasks.

        Args:
            address: as `ray.init` takes it; `local`: a temporary cluster on this machine, which ends with this process.
            max_parallel: largest number of tasks submitted at a time; None: all.
        """
        super().__init__()
        self._address = address
        self._max_parallel = max_parallel

    def check(self, job: Job) -> None:
        """See `Executor`: refuse a job that fits on no node, for which Ray would wait forever."""
        _connect(self._address)
        _resources(job)

    def is_submitted(self, job: Job) -> bool:
        """See `Executor`: tasks end with the process that submitted them, so none was submitted earlier."""
        return False

    @_signals_unwrapped()
    def _start_waiting(self) -> None:
        """See `Executor`: give the jobs to Ray, which starts them when a node is free."""
        while self._waiting and (self._max_parallel is None or len(self._running) < self._max_parallel):
            handle = self._waiting.popleft()
            job = replace(handle.job, directory=handle.job.directory.resolve())
            task = _run_job.options(name=job.directory.name, **_resources(job))
            self._running[handle] = _Task(task.remote(job, os.getcwd()))

    @_signals_unwrapped()
    def _wait(self) -> None:
        """See `Executor`."""
        time.sleep(_TICK_SECONDS)  # not in ray.wait: signals should not interrupt Ray's C code
        pending = [task.results for task in self._running.values()]
        ready, _ = ray.wait(pending, num_returns=len(pending), timeout=0)
        for handle, task in [(handle, task) for handle, task in self._running.items() if task.results in ready]:
            outcome = self._next_result(handle, task)
            # a task that was cancelled before it ran ends without having started
            if not task.started and not (outcome and outcome.stop_reason):
                task.started = True
                self._note_started(handle)
            if outcome:
                self._note_ended(handle, outcome)

    @_signals_unwrapped()
    def _cancel(self, handle: Handle) -> None:
        """See `Executor`."""
        ray.cancel(self._running[handle].results)

    def _stop(self) -> None:
        """See `Executor`: cancel all tasks, wait for their jobs to write a checkpoint, and leave the cluster."""
        if not self._running:
            return
        try:
            for task in self._running.values():
                ray.cancel(task.results)
            deadline = time.monotonic() + _STOP_SECONDS
            while self._running and time.monotonic() < deadline:
                self._wait()
        finally:  # at once after a second Ctrl-C
            for handle in list(self._running):
                self._note_ended(handle, self._cut_off(handle))
            ray.shutdown()

    def _cut_off(self, handle: Handle) -> Outcome:
        return Outcome(exit_codes=(1,), stop_reason="pruned" if handle in self._cancelled else "interrupted")

    def _next_result(self, handle: Handle, task: _Task) -> Outcome | None:
        """Return what the task has yielded: None when it starts, or its outcome."""
        try:
            outcome: Outcome | None = ray.get(next(task.results))
            return outcome
        except TaskCancelledError:
            return self._cut_off(handle)
        except OutOfMemoryError:
            return Outcome(exit_codes=(-signal.SIGKILL,), out_of_memory=True)
        except RayTaskError as error:  # ftlab is missing or broken on the node: a job records its own errors
            _append_to_log(handle.job.directory / LOGS / "job.log", str(error))
            return Outcome(exit_codes=(1,))
        except RayError:  # the node is gone
            return Outcome(exit_codes=(-signal.SIGKILL,))


@ray.remote(max_retries=0)
def _run_job(job: Job, working_dir: str) -> Iterator[Outcome | None]:
    """Run a job on this node; cancelling raises KeyboardInterrupt here, which stops the job like Ctrl-C."""
    yield None
    os.chdir(working_dir)  # where the sweep was started: paths in the configuration may be relative
    events: list[Event] = []
    LocalExecutor(max_parallel=1).run([job], events.append)
    (outcome,) = [event.outcome for event in events if isinstance(event, Ended)]
    yield outcome


def _append_to_log(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{text}\n")


def _connect(address: str) -> None:
    """Connect to the cluster or start it, once; the connection stays until this process ends."""
    if ray.is_initialized():
        return
    handler = signal.getsignal(signal.SIGTERM)
    dashboard = False if address == "local" else None
    try:
        ray.init(address, include_dashboard=dashboard, log_to_driver=False, configure_logging=False)
    except ConnectionError:
        raise ConfigError(
            f"hydra.launcher.address={address} is not a reachable Ray cluster: start one (ray start --head), or use "
            "hydra.launcher.address=local."
        ) from None
    signal.signal(signal.SIGTERM, handler)  # ray.init has replaced it


def _resources(job: Job) -> dict[str, float]:
    """Return the resources that the job needs of one node: its GPUs, and a CPU for each thread of each device."""
    hardware = job.config.hardware
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    uses_gpus = hardware.accelerator == "gpu" or (hardware.accelerator == "auto" and has_gpus)
    cpus, gpus = hardware.devices * (hardware.threads or 1), hardware.devices if uses_gpus else 0
    if hardware.num_nodes > 1:
        raise ConfigError("hydra/launcher=ray runs a job on one node: set hardware.num_nodes=1, or use Slurm.")
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        raise ConfigError(
            f"hardware={hardware.name} needs {cpus} CPUs and {gpus} GPUs on one node, and the Ray cluster has no such "
            "node: lower hardware.devices or hardware.threads."
        )
    return {"num_cpus": cpus, "num_gpus": gpus}
