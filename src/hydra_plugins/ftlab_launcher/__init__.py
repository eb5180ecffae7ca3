"""Hydra launchers that run each job of a multirun in separate processes, locally or on a cluster, then compare."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from ftlab.config.run_config import RunConfig
    from ftlab.launch.executor import Executor
    from ftlab.record import Progress


@dataclass
class LocalLauncherConfig:
    """Settings of `hydra/launcher=local`."""

    _target_: str = "hydra_plugins.ftlab_launcher.LocalLauncher"
    jobs: int | None = None  # how many run at once; null: as many as the GPUs allow, one on the CPU


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConfig, provider="ftlab")


class _SweepLauncher(Launcher, ABC):
    """Composes and checks all jobs before the first one starts.

    Attributes:
        should_prune: returns whether to prune a run at its present progress; set by sweepers that prune.
        quiet: whether to hide the comparison; set by sweepers that launch more than once.
    """

    should_prune: "Callable[[RunConfig, Progress], bool] | None" = None
    quiet: bool = False

    @abstractmethod
    def executor(self) -> "Executor":
        """Return the executor of the jobs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what `launch` needs; `task_function` is for launchers that run jobs in this process."""
        self._loader = hydra_context.config_loader
        self._config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run one job per list of overrides; a failed job is returned as failed and does not stop the others."""
        # imported here because Hydra imports every plugin at every start, `--help` included
        from ftlab.config.compose import compose_job, resolve
        from ftlab.core.errors import ConfigError
        from ftlab.sweeps.jobs import JobsFailed, run_name
        from ftlab.sweeps.notes import equal_notes, range_notes
        from ftlab.sweeps.plan import plan_if_requested
        from ftlab.sweeps.run import run_jobs

        composed = [compose_job(self._loader, self._config, overrides) for overrides in job_overrides]
        configs = [resolve(config) for config in composed]
        directories = {config.sweep.dir for config in configs}
        if len(directories) != 1:
            raise ConfigError(
                f"a sweep needs at least one job and one sweep.dir for all, not {len(directories)}: check overrides."
            )
        directory = Path(directories.pop())
        if not self.quiet:
            typed, names = self._config.hydra.overrides.task, [run_name(config) for config in configs]
            for note in [*range_notes(job_overrides, typed), *equal_notes(job_overrides, names)]:
                print(f"note: {note}.")
        if not plan_if_requested(configs, directory, self.executor()):
            return [
                JobReturn(overrides=list(overrides), cfg=config, status=JobStatus.COMPLETED)
                for overrides, config in zip(job_overrides, composed, strict=True)
            ]
        records = run_jobs(configs, directory, self.executor, self.should_prune, self.quiet)
        returns = []
        for overrides, config, record in zip(job_overrides, composed, records, strict=True):
            value: Any = record.objective  # for sweepers that optimise
            status = JobStatus.COMPLETED
            if record.has_failed:
                status = JobStatus.FAILED
                value = JobsFailed("not every job completed: see the table above.", directory)
            returns.append(JobReturn(overrides=list(overrides), cfg=config, status=status, _return_value=value))
        return returns


class LocalLauncher(_SweepLauncher):
    """Runs the jobs on this machine."""

    def __init__(self, jobs: int | None = None) -> None:
        """Set the number of jobs that run at once; None: see `LocalLauncherConfig`."""
        super().__init__()
        self._jobs = jobs

    def executor(self) -> "Executor":
        """See the base class."""
        from ftlab.core.errors import ConfigError
        from ftlab.launch.local import LocalExecutor

        if self._jobs is not None and self._jobs < 1:
            raise ConfigError(f"hydra.launcher.jobs={self._jobs} is not valid: set 1 or more, or null.")
        return LocalExecutor(self._jobs)


class SlurmLauncher(_SweepLauncher):
    """Submits the jobs to Slurm."""

    def __init__(self, **settings: Any) -> None:
        """Take the settings of conf/hydra/launcher/submitit_slurm.yaml."""
        super().__init__()
        self._settings = settings

    def executor(self) -> "Executor":
        """See the base class."""
        from ftlab.core.errors import ConfigError

        try:
            from ftlab.launch.slurm import SlurmExecutor
        except ModuleNotFoundError as error:
            raise ConfigError(
                f'hydra/launcher=submitit_slurm needs {error.name}: run pip install "ftlab[cluster]".'
            ) from None
        return SlurmExecutor(self._settings)


class RayLauncher(_SweepLauncher):
    """Submits the jobs to Ray."""

    def __init__(self, address: str, jobs: int | None) -> None:
        """Take the settings of conf/hydra/launcher/ray.yaml."""
        super().__init__()
        self._address = address
        self._jobs = jobs

    def executor(self) -> "Executor":
        """See the base class."""
        from ftlab.core.errors import ConfigError

        try:
            from ftlab.launch.ray import RayExecutor
        except ModuleNotFoundError as error:
            raise ConfigError(f'hydra/launcher=ray needs {error.name}: run pip install "ftlab[ray]".') from None
        return RayExecutor(self._address, self._jobs)
