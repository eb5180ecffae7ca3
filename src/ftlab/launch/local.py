"""Jobs on this machine: every rank a process of its own, forked from one that has all imports done."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Literal

from ftlab.errors import ConfigError
from ftlab.job import leave, run_rank, write_to_log
from ftlab.launch import server
from ftlab.launch.job import Job, Outcome, Watcher
from ftlab.launch.ranks import Rank, free_port
from ftlab.stopping import StopSignals

_GRACE_SECONDS = 30.0  # for a job to leave a checkpoint after SIGTERM
_PEERS_SECONDS = 10.0  # for the other ranks to end by themselves when one has failed
_TICK_SECONDS = 0.5


@dataclass
class _Running:
    """The processes of a job.

    Attributes:
        job: what they run.
        ranks: the processes.
        gpus: the devices that are theirs.
        deadline: when they are told to stop.
        kills: processes that the kernel had ended for want of memory, when they started.
        ends_at: when they are ended, after they were told to stop, or one of them failed.
        stopped: why they were told to stop.
        killed: ranks that were ended from here: what their exit status says is nobody's fault.
    """

    job: Job
    ranks: list[ForkServerProcess]
    gpus: tuple[str, ...]
    deadline: float | None
    kills: int
    ends_at: float | None = None
    killed: set[int] = field(default_factory=set)
    stopped: Literal["timeout", "pruned"] | None = None

    @property
    def over(self) -> bool:
        return all(rank.exitcode is not None for rank in self.ranks)

    def keep_time(self) -> None:
        """Stop a job that is late; end ranks whose peer failed, and those that do not stop."""
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            self.stop("timeout")
        if self.ends_at is None and any(rank.exitcode for rank in self.ranks):
            self.ends_at = now + _PEERS_SECONDS
        if self.ends_at is not None and now > self.ends_at:
            self.killed.update(number for number, rank in enumerate(self.ranks) if rank.exitcode is None)
            self.signal(signal.SIGKILL)

    def stop(self, why: Literal["timeout", "pruned"]) -> None:
        """Tell them to leave a checkpoint and end, once."""
        if self.stopped is None:
            self.stopped, self.ends_at = why, time.monotonic() + _GRACE_SECONDS
            self.signal(signal.SIGTERM)

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to every rank that is left; SIGKILL, to what it started as well."""
        for rank in self.ranks:
            assert rank.pid is not None
            with contextlib.suppress(ProcessLookupError):
                if signum == signal.SIGKILL:
                    os.killpg(rank.pid, signum)  # each rank leads a process group of its own
            with contextlib.suppress(ProcessLookupError):
                if rank.exitcode is None:
                    os.kill(rank.pid, signum)


class LocalExecutor:
    """Runs jobs side by side on this machine, each on devices of its own."""

    def __init__(self, at_once: int | None) -> None:
        """Take the number of jobs that run at a time; None: one for each set of GPUs, one on a CPU."""
        self._at_once = at_once
        self._running: list[_Running] = []
        self._context = multiprocessing.get_context("forkserver")

    def check(self, job: Job) -> None:
        """See `Executor`."""
        if job.config.hardware.num_nodes > 1:
            raise ConfigError(
                f"hardware.num_nodes={job.config.hardware.num_nodes} needs a cluster: add -m "
                "hydra/launcher=submitit_slurm, or set hardware.num_nodes=1."
            )

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """See `Executor`."""
        server.tell(preloaded(jobs))
        gpus = _visible_gpus(self._context) if any(_may_use_gpus(job) for job in jobs) else ()
        at_once = self._at_once or max(1, len(gpus) // max(job.config.hardware.devices for job in jobs))
        waiting, running = deque(jobs), self._running
        lifeline, held = self._context.Pipe(duplex=False)  # `held` is closed when this process is gone, however
        try:
            while waiting or running:
                free = [gpu for gpu in gpus if not any(gpu in one.gpus for one in running)]
                while waiting and len(running) < at_once and _has_room(waiting[0], free, gpus):
                    job = waiting.popleft()
                    taken = tuple(free[: job.config.hardware.devices]) if _may_use_gpus(job) else ()
                    free = free[len(taken) :]
                    running.append(self._start(job, command, taken, at_once, lifeline))
                    watcher.started(job)
                wait([rank.sentinel for one in running for rank in one.ranks if rank.exitcode is None], _TICK_SECONDS)
                for one in running:
                    one.keep_time()
                for one in [one for one in running if one.over]:
                    running.remove(one)
                    one.signal(signal.SIGKILL)  # what its processes may have left behind
                    watcher.ended(one.job, _outcome(one))
                watcher.tick()
        except BaseException:
            _stop(running)
            for one in running:
                watcher.ended(one.job, _outcome(one, interrupted=True))
            running.clear()
            raise
        finally:
            held.close()
            lifeline.close()

    def holds(self, job: Job) -> bool:
        """See `Executor`: no job outlives the process that started it."""
        return False

    def prune(self, job: Job) -> None:
        """See `Executor`."""
        for one in self._running:
            if one.job is job:
                one.stop("pruned")

    def _start(
        self, job: Job, command: list[str], gpus: tuple[str, ...], at_once: int, lifeline: Connection
    ) -> _Running:
        hardware = job.config.hardware
        port = free_port() if hardware.devices > 1 else 0
        threads = max(1, _cores() // (at_once * hardware.devices))
        ranks = []
        for number in range(hardware.devices):
            rank = Rank(
                local=number,
                number=number,
                world_size=hardware.devices,
                port=port,
                gpus=gpus or None,
                threads=threads if at_once * hardware.devices > 1 else None,
            )
            process = self._context.Process(
                target=_in_its_process,
                args=(job.directory, rank, command, lifeline),
                name=f"{job.directory.name}:{number}",
            )
            process.start()
            ranks.append(process)
        minutes = job.config.sweep.timeout_min
        deadline = time.monotonic() + 60 * minutes if minutes else None
        return _Running(job, ranks, gpus, deadline, _kernel_kills())


def preloaded(jobs: Sequence[Job]) -> list[str]:
    """Return what the server imports for these jobs beside what it always does.

    Metrics of tags and of written text bring libraries that take a second each: only where a job measures them.
    """
    datasets = [one for job in jobs for one in (job.config.dataset, *job.config.dataset.parts.values())]
    tags = any(dataset.task == "token_classification" for dataset in datasets)
    texts = any(dataset.task in ("instruction", "seq2seq") and dataset.generate.rows for dataset in datasets)
    return [*(["seqeval.metrics"] if tags else []), *(["ftlab.tasks.text_metrics"] if texts else [])]


def _in_its_process(directory: Path, rank: Rank, command: list[str], lifeline: Connection) -> None:
    """Be a rank: the first thing that runs in a forked process, and the last."""
    stop = StopSignals()
    stop.install()
    os.setsid()
    write_to_log(directory, rank)
    threading.Thread(target=_end_with_the_sweep, args=(lifeline,), daemon=True).start()
    leave(run_rank(directory, rank, command, stop))


def _end_with_the_sweep(lifeline: Connection) -> None:
    """Stop this process when the one that started it is gone, even where it was killed and could say nothing."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def _stop(running: list[_Running]) -> None:
    """Tell all jobs to stop, wait for them to leave a checkpoint, and end what is left."""
    try:
        for one in running:
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while not all(one.over for one in running) and time.monotonic() < deadline:
            wait([rank.sentinel for one in running for rank in one.ranks if rank.exitcode is None], _TICK_SECONDS)
    finally:  # a second Ctrl-C does not wait
        for one in running:
            one.signal(signal.SIGKILL)
        for one in running:
            for rank in one.ranks:
                rank.join()


def _outcome(one: _Running, *, interrupted: bool = False) -> Outcome:
    return Outcome(
        codes=tuple(0 if number in one.killed else rank.exitcode or 0 for number, rank in enumerate(one.ranks)),
        stopped="interrupted" if interrupted else one.stopped,
        out_of_memory=_kernel_kills() > one.kills,
    )


def _kernel_kills() -> int:
    """Return how many processes Linux has ended for want of memory; 0 where it does not tell."""
    for path in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
    return 0


def _cores() -> int:
    """Return how many cores this process may use; in an allocation of a cluster, fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_use_gpus(job: Job) -> bool:
    return job.config.hardware.accelerator in ("auto", "gpu")


def _has_room(job: Job, free: list[str], gpus: tuple[str, ...]) -> bool:
    """Whether the job's devices are free; one that wants more than there are is started, to say so."""
    wanted = job.config.hardware.devices
    return not _may_use_gpus(job) or wanted > len(gpus) or wanted <= len(free)


def _visible_gpus(context: ForkServerContext) -> tuple[str, ...]:
    """Return the GPUs that jobs may use; asked in a process of its own, for this one has no torch."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_count_gpus, args=(there,))
    process.start()
    there.close()
    try:
        count = here.recv()
    except EOFError:
        count = 0
    process.join()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return tuple(named[:count] or map(str, range(count)))


def _count_gpus(answer: Connection) -> None:
    import torch

    answer.send(torch.cuda.device_count())
