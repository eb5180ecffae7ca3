"""Executor for this machine: every rank is a process, forked from a server that has imported everything."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Literal

from ftlab.config.kinds import entry_of
from ftlab.core.errors import ConfigError
from ftlab.core.signals import StopSignals
from ftlab.data.sources.source import require_files
from ftlab.launch import forkserver
from ftlab.launch.executor import Event, Executor, Handle, Job, Outcome
from ftlab.launch.rank_process import RankProcess, start_rank
from ftlab.launch.ranks import Rank, free_port
from ftlab.launch.worker import exit_process, redirect_output_to_log, run_rank

_GRACE_SECONDS = 30.0  # for a job to write a checkpoint after SIGTERM
_PEER_GRACE_SECONDS = 10.0  # for the other ranks to end by themselves after one has failed
_TICK_SECONDS = 0.5


@dataclass
class _RunningJob:
    """The processes of a job.

    Attributes:
        ranks: the processes.
        gpus: the devices assigned to the job.
        deadline: when the job is asked to stop, in seconds of the monotonic clock; None: never.
        oom_kills_before: the kernel's count of out-of-memory kills when the job started.
        kill_at: when remaining ranks are killed, after the job was asked to stop or one rank failed.
        stop_reason: why the job was asked to stop.
        killed_ranks: ranks that this process killed: their exit codes are no failures.
    """

    ranks: list[RankProcess]
    gpus: tuple[str, ...]
    deadline: float | None
    oom_kills_before: int
    kill_at: float | None = None
    killed_ranks: set[int] = field(default_factory=set)
    stop_reason: Literal["timeout", "pruned"] | None = None

    @property
    def is_over(self) -> bool:
        return all(rank.exitcode is not None for rank in self.ranks)

    def enforce_deadlines(self) -> None:
        """Stop the job after its time limit; kill ranks whose peer has failed and ranks that do not stop."""
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            self.stop("timeout")
        if self.kill_at is None and any(rank.exitcode and not rank.lost_server for rank in self.ranks):
            self.kill_at = now + _PEER_GRACE_SECONDS
        if self.kill_at is not None and now > self.kill_at:
            self.killed_ranks.update(number for number, rank in enumerate(self.ranks) if rank.exitcode is None)
            self.signal(signal.SIGKILL)

    def stop(self, reason: Literal["timeout", "pruned"]) -> None:
        """Ask the ranks to write a checkpoint and end; only the first call has an effect."""
        if self.stop_reason is None:
            self.stop_reason, self.kill_at = reason, time.monotonic() + _GRACE_SECONDS
            self.signal(signal.SIGTERM)

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to every running rank; SIGKILL goes to the processes that it started as well."""
        for rank in self.ranks:
            rank.signal(signum)


class LocalExecutor(Executor):
    """Runs jobs in parallel on this machine, each on its own devices."""

    _running: dict[Handle, _RunningJob]

    def __init__(self, max_parallel: int | None) -> None:
        """Set the largest number of jobs that run at a time; None: as many as the GPUs allow, one on a CPU."""
        super().__init__()
        self._max_parallel = max_parallel
        self._most_devices = 1  # of a submitted job
        self._gpus: tuple[str, ...] | None = None  # counted when the first job that may use them starts
        self._context = multiprocessing.get_context("forkserver")
        # its first end is read by workers, which end when the second one is closed: by `_stop`, or as this process ends
        self._lifeline: tuple[Connection, Connection] | None = None

    def check(self, job: Job) -> None:
        """See `Executor`; also checks that the data files exist, which on a cluster may be on its nodes alone."""
        for dataset in (job.config.dataset, *job.config.dataset.parts.values()):
            require_files(dataset.source)
        if job.config.hardware.num_nodes > 1:
            raise ConfigError(
                f"hardware.num_nodes={job.config.hardware.num_nodes} needs a cluster: add -m "
                "hydra/launcher=submitit_slurm, or set hardware.num_nodes=1."
            )

    def is_submitted(self, job: Job) -> bool:
        """See `Executor`: local jobs end with the process that started them, so none was submitted earlier."""
        return False

    def submit(self, job: Job) -> Handle:
        """See `Executor`."""
        self._most_devices = max(self._most_devices, job.config.hardware.devices)
        return super().submit(job)

    def events(self) -> Iterator[Event]:
        """See `Executor`; the fork server imports what the jobs need that were submitted before the first call."""
        if self._waiting:
            forkserver.preload_modules(modules_to_preload([handle.job for handle in self._waiting]))
        yield from super().events()

    def _start_waiting(self) -> None:
        """See `Executor`."""
        if self._gpus is None and any(_may_use_gpus(handle.job) for handle in self._waiting):
            self._gpus = _visible_gpus(self._context)
        gpus = self._gpus or ()
        max_parallel = self._max_parallel or max(1, len(gpus) // self._most_devices)
        free = [gpu for gpu in gpus if not any(gpu in running.gpus for running in self._running.values())]
        while self._waiting and len(self._running) < max_parallel:
            job = self._waiting[0].job
            if not _has_enough_gpus(job, free, gpus):
                break
            devices = job.config.hardware.devices
            assigned = tuple(free[:devices]) if _may_use_gpus(job) else ()
            free = free[len(assigned) :]
            num_processes = max_parallel * devices
            threads = max(1, _available_cores() // num_processes) if num_processes > 1 else None
            self._start(self._waiting.popleft(), assigned, threads)

    def _start(self, handle: Handle, gpus: tuple[str, ...], threads: int | None) -> None:
        job, num_ranks = handle.job, handle.job.config.hardware.devices
        port = free_port() if num_ranks > 1 else 0
        minutes = job.config.sweep.timeout_min
        deadline = time.monotonic() + 60 * minutes if minutes else None
        self._lifeline = self._lifeline or self._context.Pipe(duplex=False)
        # known before its first process is there, so that its end is noted after an interrupt meanwhile
        self._running[handle] = running = _RunningJob([], gpus, deadline, _oom_kill_count())
        self._note_started(handle)
        for number in range(num_ranks):
            rank = Rank(
                local_rank=number,
                global_rank=number,
                world_size=num_ranks,
                master_port=port,
                gpus=gpus or None,
                threads=threads,
            )
            process = start_rank(
                self._context,
                target=_run_worker,
                args=(job.directory, rank, job.command, self._lifeline[0], job.import_from_cwd),
                name=f"{job.directory.name}:{number}",
            )
            running.ranks.append(process)

    def _wait(self) -> None:
        """See `Executor`."""
        _wait_for_ranks(self._running.values())
        for running in self._running.values():
            running.enforce_deadlines()
        for handle, running in list(self._running.items()):
            if running.is_over:
                running.signal(signal.SIGKILL)  # for processes that its ranks may have left behind
                self._note_ended(handle, _outcome(running))

    def _cancel(self, handle: Handle) -> None:
        """See `Executor`."""
        self._running[handle].stop("pruned")

    def _stop(self) -> None:
        """See `Executor`: ask all jobs to stop, wait for them to write a checkpoint, and kill the rest."""
        try:
            for running in self._running.values():
                running.signal(signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while not all(running.is_over for running in self._running.values()) and time.monotonic() < deadline:
                _wait_for_ranks(self._running.values())
        finally:  # at once after a second Ctrl-C
            for running in self._running.values():
                running.signal(signal.SIGKILL)
            for handle, running in list(self._running.items()):
                for rank in running.ranks:
                    rank.join()
                self._note_ended(handle, _outcome(running, interrupted=True))
            for end in self._lifeline or ():  # for a process whose start an interrupt has cut off: nobody knows its pid
                end.close()
            self._lifeline = None


def modules_to_preload(jobs: Sequence[Job]) -> list[str]:
    """Return the modules that the fork server imports for these jobs, in addition to `ftlab.launch.preload`.

    The libraries for metrics of tags and of generated text take a second each, so they are imported only if needed. A
    user's kinds are left to the jobs, as their code may touch a GPU.
    """
    datasets = [dataset for job in jobs for dataset in (job.config.dataset, *job.config.dataset.parts.values())]
    texts = any(dataset.kind.generates and dataset.generate.rows for dataset in datasets)
    kinds = {dataset.task: dataset.kind for dataset in datasets if entry_of(dataset.task) is None}
    modules = [module for kind in kinds.values() for module in (kind.data.rpartition(".")[0], *kind.preload)]
    return [*dict.fromkeys(modules), *(["ftlab.tasks.text_metrics"] if texts else [])]


def _run_worker(directory: Path, rank: Rank, command: list[str], lifeline: Connection, import_from_cwd: bool) -> None:
    """Run a rank: entry point of a forked worker process."""
    stop = StopSignals()
    stop.install()
    os.setsid()
    redirect_output_to_log(directory, rank)
    threading.Thread(target=_exit_with_parent, args=(lifeline,), daemon=True).start()
    exit_process(run_rank(directory, rank, command, stop, import_from_cwd=import_from_cwd))


def _exit_with_parent(lifeline: Connection) -> None:
    """Stop this process when its parent ends, even if that was killed and could send no signal."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _wait_for_ranks(jobs: Iterable[_RunningJob]) -> None:
    """Wait until a rank ends, at most for a tick."""
    running = [rank for job in jobs for rank in job.ranks if rank.exitcode is None]
    wait([sentinel for rank in running if (sentinel := rank.sentinel) is not None], _TICK_SECONDS)


def _outcome(ended: _RunningJob, *, interrupted: bool = False) -> Outcome:
    exit_codes = (0 if number in ended.killed_ranks else rank.exitcode or 0 for number, rank in enumerate(ended.ranks))
    return Outcome(
        exit_codes=tuple(exit_codes),
        stop_reason=ended.stop_reason or ("interrupted" if interrupted else None),
        out_of_memory=_oom_kill_count() > ended.oom_kills_before,
    )


def _oom_kill_count() -> int:
    """Return how many processes the Linux OOM killer has ended so far; 0 where the count is not available."""
    for path in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


def _available_cores() -> int:
    """Return how many CPU cores this process may use; in a cluster allocation, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_use_gpus(job: Job) -> bool:
    return job.config.hardware.accelerator in ("auto", "gpu")


def _has_enough_gpus(job: Job, free: list[str], gpus: tuple[str, ...]) -> bool:
    """Return whether the job's GPUs are free; also true if it needs more than exist: it is started and fails."""
    needed = job.config.hardware.devices
    return not _may_use_gpus(job) or needed > len(gpus) or needed <= len(free)


def _visible_gpus(context: ForkServerContext) -> tuple[str, ...]:
    """Return the GPUs that jobs may use, counted in a forked process because this one does not import torch."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_gpu_count, args=(sender,))
    process.start()
    sender.close()
    try:
        count = receiver.recv()
    except EOFError:
        count = 0
    process.join()
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return tuple(visible[:count] or map(str, range(count)))


def _send_gpu_count(sender: Connection) -> None:
    import torch

    sender.send(torch.cuda.device_count())
