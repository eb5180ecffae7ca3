"""Executor for Slurm, through submitit: one task per rank; jobs save a checkpoint and requeue when their time is up."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import submitit

from ftlab.config.groups import HardwareConfig
from ftlab.core.environment import variables_set
from ftlab.core.errors import ConfigError, UserError, reason
from ftlab.core.import_path import SAFE_PATH
from ftlab.core.terminal import Terminal
from ftlab.launch.executor import Executor, Handle, Job, Outcome
from ftlab.launch.slurm_queue import (
    FINAL_STATES,
    GONE,
    INTERRUPTED_STATES,
    queue_states,
    queued_job,
    read_job_id,
    remove_job_id,
    write_job_id,
)
from ftlab.launch.slurm_task import SlurmTask

_WHOLE = 2000  # characters of an error that lists the valid settings, or what sbatch says of each
_FOLDER = ".submitit"  # in the sweep's folder
_POLL_SECONDS = 2.0
# End the job when a rank fails: the others would wait for it until the time limit.
_SETUP = "export SLURM_KILL_BAD_EXIT=1"


class SlurmExecutor(Executor):
    """Submits jobs that are not in the queue yet and monitors all of them by their IDs; jobs outlive this process."""

    _running: dict[Handle, str]

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Take the settings of `hydra/launcher=submitit_slurm`, with submitit's names as keys."""
        super().__init__()
        self._settings = {key: value for key, value in settings.items() if value is not None}

    def check(self, job: Job) -> None:
        """See `Executor`."""
        preflight(job, self._settings)

    def is_submitted(self, job: Job) -> bool:
        """See `Executor`."""
        return queued_job(job.directory) is not None

    def _start_waiting(self) -> None:
        """See `Executor`: jobs that need the same resources are submitted as one job array."""
        handles = list(self._waiting)
        new = [handle.job for handle in handles if not self.is_submitted(handle.job)]
        for _, same_resources in groupby(sorted(new, key=_resources), key=_resources):
            self._submit_array(list(same_resources))
        for handle in handles:
            job_id = read_job_id(handle.job.directory)
            assert job_id  # written just now, or by an earlier command
            self._waiting.remove(handle)
            self._running[handle] = job_id
            self._note_started(handle)

    def _wait(self) -> None:
        """See `Executor`."""
        time.sleep(_POLL_SECONDS)
        states = queue_states(list(self._running.values()))
        for handle, job_id in list(self._running.items()):
            state = states.get(job_id, GONE)
            if state in FINAL_STATES:
                remove_job_id(handle.job.directory)
                self._note_ended(handle, self._outcome(handle, state))

    def _cancel(self, handle: Handle) -> None:
        """See `Executor`."""
        subprocess.run(["scancel", self._running[handle]], check=False)

    def _stop(self) -> None:
        """See `Executor`: the jobs keep running on the cluster."""
        if self._running:
            _print(
                f"{len(self._running)} jobs stay in the queue. The same command monitors them again; to cancel them: "
                f"scancel {' '.join(self._running.values())}"
            )

    def _outcome(self, handle: Handle, state: str) -> Outcome:
        if state == "OUT_OF_MEMORY":
            return Outcome(exit_codes=(-signal.SIGKILL,), out_of_memory=True)
        if handle in self._cancelled:
            return Outcome(exit_codes=(), stop_reason="pruned")
        return Outcome(exit_codes=(1,), stop_reason="interrupted" if state in INTERRUPTED_STATES else None)

    def _submit_array(self, jobs: list[Job]) -> None:
        executor = _submitit_executor(jobs[0], self._settings)
        try:
            with _clean_environment(), executor.batch():
                submitted = [executor.submit(SlurmTask(job.directory.resolve(), job.command)) for job in jobs]
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"sbatch refused the jobs: {reason(error, width=_WHOLE)}.") from None
        for job, task in zip(jobs, submitted, strict=True):
            write_job_id(job.directory, task.job_id)


def preflight(job: Job, settings: Mapping[str, Any]) -> None:
    """Refuse a job that Slurm would accept, but that would fail or corrupt its result later.

    Raises:
        UserError: names the settings that contradict each other.
    """
    hardware = job.config.hardware
    for tool in ("sbatch", "squeue", "scontrol"):
        if not shutil.which(tool):
            raise UserError(f"hydra/launcher=submitit_slurm needs {tool} on the PATH: run it on a login node.")
    expected = {"tasks_per_node": hardware.devices, "nodes": hardware.num_nodes}
    for name, value in expected.items():
        if settings.get(name, value) != value:
            setting = "hardware.devices" if name == "tasks_per_node" else "hardware.num_nodes"
            raise ConfigError(
                f"hydra.launcher.{name}={settings[name]} and {setting}={value} contradict each other: remove the "
                "first, it follows from the second."
            )
    gpus = settings.get("gpus_per_node", _gpus(hardware))
    if gpus not in (0, hardware.devices) or (hardware.accelerator == "gpu" and not gpus):
        raise ConfigError(
            f"hydra.launcher.gpus_per_node={gpus} does not fit hardware.devices={hardware.devices}: one task runs on "
            "one GPU."
        )
    if "gpus_per_task" in settings:
        raise ConfigError("hydra.launcher.gpus_per_task hides a task's GPU from other tasks: use hardware=slurm_ddp.")
    if "timeout_min" not in settings:
        raise ConfigError("hydra.launcher.timeout_min is not set: give the minutes after which a job is requeued.")
    for name in ("timeout_min", "signal_delay_s"):
        if not isinstance(settings.get(name, 0), int):
            raise ConfigError(f"hydra.launcher.{name}={settings[name]} is not valid: give a whole number.")
    seconds = 60 * settings["timeout_min"]
    delay = settings.get("signal_delay_s", 0)
    if not 0 < delay < seconds:
        raise ConfigError(
            f"hydra.launcher.signal_delay_s={delay} leaves no time to save before the limit of {seconds} seconds: give "
            "the seconds that saving takes, fewer than timeout_min has."
        )
    if "signal" in settings.get("additional_parameters", {}):
        raise ConfigError("hydra.launcher.additional_parameters.signal replaces submitit's signal: use signal_delay_s.")
    if job.config.sweep.timeout_min is not None:
        raise ConfigError("sweep.timeout_min is for jobs on this machine: on a cluster use hydra.launcher.timeout_min.")
    _submitit_executor(job, settings)


def _submitit_executor(job: Job, settings: Mapping[str, Any]) -> submitit.AutoExecutor:
    """Return submitit's executor for jobs that need the same resources as this one.

    Raises:
        ConfigError: submitit does not know a setting, or expects another type.
    """
    parameters = {name: value for name, value in settings.items() if name != "max_num_timeout"}
    retries = {"slurm_max_num_timeout": settings["max_num_timeout"]} if "max_num_timeout" in settings else {}
    folder = job.directory.resolve().parent / _FOLDER / "%j"
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster="slurm", **retries)
        executor.update_parameters(**_parameters(parameters, job.config.hardware))
    except (AssertionError, NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"hydra.launcher has a setting that submitit does not accept: {reason(error, width=_WHOLE)}."
        ) from None
    return executor


@contextlib.contextmanager
def _clean_environment() -> Iterator[None]:
    """Hide variables of an enclosing job or launcher, which sbatch would pass on; keep SLURM_CONF."""
    address = os.environ.get("SLURM_CONF")
    with submitit.helpers.clean_env():
        if address:
            os.environ["SLURM_CONF"] = address
        with variables_set({SAFE_PATH: os.environ.get(SAFE_PATH) or "1"}):  # submitit starts tasks with `python -m`
            yield


def _parameters(settings: Mapping[str, Any], hardware: HardwareConfig) -> dict[str, Any]:
    """Return submitit's parameters: those for all clusters as they are, those for Slurm with the prefix `slurm_`."""
    shared = {"name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node"}
    fixed = {"nodes": hardware.num_nodes, "tasks_per_node": hardware.devices}
    gpus = settings.get("gpus_per_node", _gpus(hardware))
    setup = [*settings.get("setup", []), _SETUP]
    parameters = {**settings, **fixed, "setup": setup, **({"gpus_per_node": gpus} if gpus else {})}
    if not gpus:
        parameters.pop("gpus_per_node", None)
    return {name if name in shared else f"slurm_{name}": value for name, value in parameters.items()}


def _gpus(hardware: HardwareConfig) -> int:
    return hardware.devices if hardware.accelerator == "gpu" else 0


def _resources(job: Job) -> tuple[int, int, str]:
    hardware = job.config.hardware
    return hardware.num_nodes, hardware.devices, hardware.accelerator


def _print(message: str) -> None:
    Terminal().print(message, markup=False, highlight=False, soft_wrap=True)
