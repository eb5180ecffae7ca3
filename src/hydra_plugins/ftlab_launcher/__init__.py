"""Hydra launcher `local`: every job of a multirun in a process of its own, and a comparison at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class LocalLauncherConfig:
    """Settings of `hydra/launcher=local`."""

    _target_: str = "hydra_plugins.ftlab_launcher.LocalLauncher"
    jobs: int | None = None  # that run at once; null: one per set of GPUs, one on the CPU


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConfig, provider="ftlab")


class LocalLauncher(Launcher):
    """Composes and checks all jobs before the first one starts."""

    def __init__(self, jobs: int | None = None) -> None:
        """Take the number of jobs that run at once."""
        super().__init__()
        self._jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs; `task_function` is for launchers that stay in this process."""
        self._loader = hydra_context.config_loader
        self._config = config
        OmegaConf.select(config, "sweep.dir")  # resolved once: every job gets its ${now:} from this cache

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run one job per list of overrides; a failed job is returned as failed and stops no other."""
        # imported here because Hydra imports every plugin at every start, `--help` included
        from ftlab.composition import resolve
        from ftlab.errors import ConfigError
        from ftlab.launch.local import LocalExecutor
        from ftlab.sweep import JobsFailed, run_sweep

        composed = [self._loader.load_sweep_config(self._config, list(overrides)) for overrides in job_overrides]
        configs = [resolve(config) for config in composed]
        directories = {config.sweep.dir for config in configs}
        if len(directories) != 1:
            raise ConfigError(f"a sweep has at least one job and one sweep.dir for all, not {len(directories)}.")
        records = run_sweep(configs, Path(directories.pop()), LocalExecutor(self._jobs))
        returns = []
        for overrides, config, record in zip(job_overrides, composed, records, strict=True):
            value: Any = None
            status = JobStatus.COMPLETED
            if record.status != "completed":
                status, value = JobStatus.FAILED, JobsFailed("not every job completed: see the table above.")
            returns.append(JobReturn(overrides=list(overrides), cfg=config, status=status, _return_value=value))
        return returns
