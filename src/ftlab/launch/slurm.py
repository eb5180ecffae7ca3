"""Jobs of a sweep on a Slurm cluster, through submitit: one task for each rank, saved and requeued when time is up."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import submitit
from rich.console import Console

from ftlab.errors import ConfigError, UserError
from ftlab.groups import HardwareConfig
from ftlab.launch.job import Job, Outcome, Watcher
from ftlab.launch.slurm_queue import queue_states, read_ticket, remove_ticket, write_ticket
from ftlab.launch.slurm_task import SlurmTask

_FOLDER = ".submitit"  # in the sweep's folder
_SECONDS_BETWEEN_LOOKS = 2.0
_GONE = "GONE"  # the queue does not know it: it is long over
_STOPPED = (_GONE, "CANCELLED", "DEADLINE", "TIMEOUT")  # by no fault of the job's
# PREEMPTED, NODE_FAIL and BOOT_FAIL are no end: Slurm requeues such a job, or forgets it some minutes later.
_ENDED = (*_STOPPED, "COMPLETED", "FAILED", "OUT_OF_MEMORY")
# A rank that fails ends its job: the others would wait for it until the time limit.
_SETUP = "export SLURM_KILL_BAD_EXIT=1"


class SlurmExecutor:
    """Submits what is not in the queue yet and watches all of it; jobs outlive this process."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Take the settings of `hydra/launcher=submitit_slurm`, under submitit's names."""
        self._pruned: set[Path] = set()
        self._settings = {key: value for key, value in settings.items() if value is not None}

    def check(self, job: Job) -> None:
        """See `Executor`."""
        preflight(job, self._settings)

    def run(self, jobs: Sequence[Job], command: list[str], watcher: Watcher) -> None:
        """See `Executor`; when this process is told to stop, the jobs go on."""
        new = [job for job in jobs if not self.holds(job)]
        for _, alike in groupby(sorted(new, key=_size), key=_size):
            self._submit(list(alike), command)
        tickets = {read_ticket(job.directory): job for job in jobs}
        for job in tickets.values():
            watcher.started(job)
        try:
            while tickets:
                states = queue_states([ticket for ticket in tickets if ticket])
                for ticket, job in list(tickets.items()):
                    state = states.get(ticket or "", _GONE)
                    if state in _ENDED:
                        del tickets[ticket]
                        remove_ticket(job.directory)
                        watcher.ended(job, self._outcome(job, state))
                watcher.tick()
                time.sleep(_SECONDS_BETWEEN_LOOKS if tickets else 0)
        except BaseException:
            if tickets:
                _tell(
                    f"{len(tickets)} jobs stay in the queue. The same command watches them again; this cancels them: "
                    f"scancel {' '.join(ticket for ticket in tickets if ticket)}"
                )
            raise

    def holds(self, job: Job) -> bool:
        """See `Executor`."""
        ticket = read_ticket(job.directory)
        return ticket is not None and queue_states([ticket]).get(ticket, _GONE) not in _ENDED

    def prune(self, job: Job) -> None:
        """See `Executor`."""
        ticket = read_ticket(job.directory)
        if ticket and job.directory not in self._pruned:
            self._pruned.add(job.directory)
            subprocess.run(["scancel", ticket], check=False)

    def _outcome(self, job: Job, state: str) -> Outcome:
        if job.directory in self._pruned:
            return Outcome(codes=(), stopped="pruned")
        if state == "OUT_OF_MEMORY":
            return Outcome(codes=(-signal.SIGKILL,), out_of_memory=True)
        return Outcome(codes=(1,), stopped="interrupted" if state in _STOPPED else None)

    def _submit(self, jobs: list[Job], command: list[str]) -> None:
        """Submit jobs that want the same resources as one array."""
        executor = _executor(jobs[0], self._settings)
        try:
            with _environment_of_a_login_shell(), executor.batch():
                submitted = [executor.submit(SlurmTask(job.directory.resolve(), command)) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"sbatch refused the jobs: {' '.join(str(error).split())}") from None
        for job, ticket in zip(jobs, submitted, strict=True):
            write_ticket(job.directory, ticket.job_id)


def preflight(job: Job, settings: Mapping[str, Any]) -> None:
    """Refuse what would be submitted, and fail or corrupt its result later.

    Raises:
        UserError: one sentence on what does not fit together.
    """
    hardware = job.config.hardware
    for tool in ("sbatch", "squeue", "scontrol"):
        if not shutil.which(tool):
            raise UserError(f"hydra/launcher=submitit_slurm needs {tool} on the PATH: start it on a login node.")
    fixed = {"tasks_per_node": hardware.devices, "nodes": hardware.num_nodes}
    for name, right in fixed.items():
        if settings.get(name, right) != right:
            setting = "hardware.devices" if name == "tasks_per_node" else "hardware.num_nodes"
            raise ConfigError(
                f"hydra.launcher.{name}={settings[name]} and {setting}={right} contradict each other: leave the first "
                "out, it follows from the second."
            )
    gpus = settings.get("gpus_per_node", _gpus(hardware))
    if gpus not in (0, hardware.devices) or (hardware.accelerator == "gpu" and not gpus):
        raise ConfigError(
            f"hydra.launcher.gpus_per_node={gpus} does not fit hardware.devices={hardware.devices}: one task runs on "
            "one GPU."
        )
    if "gpus_per_task" in settings:
        raise ConfigError("hydra.launcher.gpus_per_task hides a task's GPU from its peers: use hardware=slurm_ddp.")
    if "timeout_min" not in settings:
        raise ConfigError("hydra.launcher.timeout_min is not set: give the minutes after which a stretch ends.")
    for name in ("timeout_min", "signal_delay_s"):
        if not isinstance(settings.get(name, 0), int):
            raise ConfigError(f"hydra.launcher.{name}={settings[name]} is not valid: give a whole number.")
    seconds = 60 * settings["timeout_min"]
    delay = settings.get("signal_delay_s", 0)
    if not 0 < delay < seconds:
        raise ConfigError(
            f"hydra.launcher.signal_delay_s={delay} leaves no time to save before the limit of {seconds} seconds: give "
            "the seconds that saving takes, and fewer than timeout_min has."
        )
    if "signal" in settings.get("additional_parameters", {}):
        raise ConfigError("hydra.launcher.additional_parameters.signal replaces submitit's: use signal_delay_s.")
    if job.config.sweep.timeout_min is not None:
        raise ConfigError("sweep.timeout_min is for this machine: on a cluster use hydra.launcher.timeout_min.")
    _executor(job, settings)


def _executor(job: Job, settings: Mapping[str, Any]) -> submitit.AutoExecutor:
    """Return what submits jobs that want what this one does.

    Raises:
        ConfigError: submitit does not know a setting, or wants another type.
    """
    rest = {name: value for name, value in settings.items() if name != "max_num_timeout"}
    retries = {"slurm_max_num_timeout": settings["max_num_timeout"]} if "max_num_timeout" in settings else {}
    folder = job.directory.resolve().parent / _FOLDER / "%j"
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm", **retries)
        executor.update_parameters(**_parameters(rest, job.config.hardware))
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"hydra.launcher has a setting that submitit refuses: {' '.join(str(error).split())}"
        ) from None
    return executor


@contextlib.contextmanager
def _environment_of_a_login_shell() -> Iterator[None]:
    """Hide what a job or a launcher has left in the environment: sbatch would hand it on. Slurm's own address stays."""
    address = os.environ.get("SLURM_CONF")
    with submitit.helpers.clean_env():
        if address:
            os.environ["SLURM_CONF"] = address
        yield


def _parameters(settings: Mapping[str, Any], hardware: HardwareConfig) -> dict[str, Any]:
    """Return submitit's parameters: those it shares among clusters as they are, Slurm's own with their prefix."""
    shared = {"name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node"}
    fixed = {"nodes": hardware.num_nodes, "tasks_per_node": hardware.devices}
    gpus = settings.get("gpus_per_node", _gpus(hardware))
    setup = [*settings.get("setup", []), _SETUP]
    wanted = {**settings, **fixed, "setup": setup, **({"gpus_per_node": gpus} if gpus else {})}
    if not gpus:
        wanted.pop("gpus_per_node", None)
    return {name if name in shared else f"slurm_{name}": value for name, value in wanted.items()}


def _gpus(hardware: HardwareConfig) -> int:
    return hardware.devices if hardware.accelerator == "gpu" else 0


def _size(job: Job) -> tuple[int, int, str]:
    hardware = job.config.hardware
    return hardware.num_nodes, hardware.devices, hardware.accelerator


def _tell(sentence: str) -> None:
    Console().print(sentence, markup=False, highlight=False, soft_wrap=True)
