"""Hydra sweeper `optuna`: one Optuna study per combination of the swept overrides, over its method's search space.

Trials are judged on the validation split and never see the test split. Then the best of each study runs and is tested.
"""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from ftlab.config.run_config import RunConfig
    from ftlab.record import Progress
    from ftlab.sweeps.optuna_study import Study, Trial
    from ftlab.sweeps.search_space import Space


_AS_TRIAL = ("search.name=optuna", "++search.role=trial")  # overrides of a job that only chooses settings


class OptunaSweeper(Sweeper):
    """Launches trials of all studies until each has had its number of trials, then the best of each as a run."""

    def __init__(self, search: DictConfig | None, **settings: Any) -> None:
        """Take the settings of conf/hydra/sweeper/optuna.yaml."""
        self._search = search
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what `sweep` needs."""
        self._loader = hydra_context.config_loader
        self._config = config
        self._launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[list[JobReturn]]:
        """Run the trials of every combination, then the best of each with the test split, and show both.

        Args:
            arguments: overrides of the command line, swept or not.

        Returns:
            One job per combination, with the value of its best trial, as if they were launched together.

        Raises:
            ConfigError: the settings or a search space are not valid; nothing was started.
            JobsFailed: a combination has no complete trial, or one that can be resumed; or the run of its best failed.
        """
        # imported here because Hydra imports every plugin at every start, `--help` included
        from ftlab.core.errors import ConfigError
        from ftlab.core.terminal import Terminal
        from ftlab.sweeps.interrupts import signals_as_interrupts
        from ftlab.sweeps.jobs import JobsFailed

        if not hasattr(self._launcher, "should_prune"):
            raise ConfigError("hydra/sweeper=optuna needs one of ftlab's launchers: use hydra/launcher=local.")
        directory, studies = self._studies(arguments)
        self._launcher.quiet = True  # one comparison at the end instead of one per batch
        launched = 0
        try:
            with signals_as_interrupts():
                while trials := self._ask(studies):
                    self._run(trials, launched, directory)
                    launched += len(trials)
                failed = self._run_winners([study for study in studies if study.is_finished], launched)
        finally:
            self._show(directory, studies, Terminal())
        if not all(study.is_finished for study in studies):
            raise JobsFailed(
                "a search has no complete trial, or one that was interrupted: the same command resumes it.", directory
            )
        if failed:
            raise JobsFailed("the run with a search's best settings failed: see the table above.", directory)
        return [[self._best_job(study) for study in studies]]

    def _best_job(self, study: "Study") -> JobReturn:
        from ftlab.config.compose import compose_job

        config = compose_job(self._loader, self._config, study.overrides)
        best = study.best_trial()
        value = None if best is None else best.value
        return JobReturn(overrides=study.overrides, cfg=config, status=JobStatus.COMPLETED, _return_value=value)

    def _studies(self, arguments: list[str]) -> "tuple[Path, list[Study]]":
        """Return the sweep's folder and the study of each combination; checks everything before it writes anything."""
        from ftlab.core.errors import ConfigError
        from ftlab.sweeps.jobs import run_name
        from ftlab.sweeps.search_space import corner_points, to_overrides

        try:
            from ftlab.sweeps.optuna_study import Study, read_sweeper_settings
        except ModuleNotFoundError as error:
            raise ConfigError(f'hydra/sweeper=optuna needs {error.name}: run pip install "ftlab[optuna]".') from None
        settings = read_sweeper_settings(self._settings)
        searches: dict[tuple[str, str], tuple[RunConfig, list[str], Space]] = {}  # by folder and run name
        for combination in self._combinations(arguments):
            config = self._compose(combination)
            if config.plan:
                raise ConfigError(
                    "plan needs all jobs in advance, and a search chooses them as it goes: leave out one."
                )
            if config.search.rung is not None:
                raise ConfigError("search.rung pauses runs, and Optuna needs the value of a whole trial: leave it out.")
            space = self._space(config, combination)
            for corner in corner_points(space):
                self._compose([*combination, *to_overrides(corner)])
            searches[config.sweep.dir, run_name(config)] = config, combination, space
        directories = {directory for directory, _ in searches}
        if len(directories) != 1:
            raise ConfigError(
                f"a sweep needs at least one job and one sweep.dir for all, not {len(directories)}: check overrides."
            )
        directory = Path(directories.pop())
        directory.mkdir(parents=True, exist_ok=True)
        studies = [
            Study(config, combination, space, settings, directory) for config, combination, space in searches.values()
        ]
        return directory, studies

    def _combinations(self, arguments: list[str]) -> list[list[str]]:
        """Return the overrides of each combination of the swept ones, in the order of Hydra's own sweeper."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from ftlab.core.errors import ConfigError

        choices: dict[str, list[str]] = {}  # the last override of a key counts
        for override in OverridesParser.create(config_loader=self._loader).parse_overrides(arguments):
            key = override.get_key_element()
            if not override.is_sweep_override():
                choices[key] = [f"{key}={override.get_value_element_as_str()}"]
            elif override.is_discrete_sweep():
                choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            else:
                raise ConfigError(
                    f"{override.input_line} has no list of values: search it with "
                    "hydra.sweeper.search={KEY: {low: A, high: B}}."
                )
        return [list(combination) for combination in itertools.product(*choices.values())]

    def _compose(self, overrides: Sequence[str]) -> "RunConfig":
        from ftlab.config.compose import compose_job, resolve

        return resolve(compose_job(self._loader, self._config, overrides))

    def _space(self, config: "RunConfig", combination: Sequence[str]) -> "Space":
        """Return the search space of the method without overridden settings; empty if the method never trains."""
        from ftlab.sweeps.search_space import read_space

        if config.method.lr is None:
            return {}
        search: Any = OmegaConf.to_container(self._search, resolve=True) if self._search else {}
        method_space = read_space(config.method.search, f"method={config.method.name}")
        space = method_space | read_space(search, "hydra.sweeper")
        fixed = {text.partition("=")[0].lstrip("+") for text in combination}
        if "method.lr" in fixed:
            fixed.add("optim.lr")
        return {key: dimension for key, dimension in space.items() if key not in fixed}

    def _ask(self, studies: "Sequence[Study]") -> "list[Trial]":
        """Return the next batch of trials: one per unfinished study, or more if more jobs run at once."""
        unfinished = sum(study.has_more_trials for study in studies)
        per_study = max(1, math.ceil((self._settings["jobs"] or 1) / unfinished)) if unfinished else 0
        return [trial for study in studies for trial in study.ask(per_study)]

    def _run(self, trials: "Sequence[Trial]", launched: int, directory: Path) -> None:
        """Launch a batch of trials, and report the results to their studies."""
        from ftlab.record import read_record
        from ftlab.sweeps.jobs import run_name
        from ftlab.sweeps.search_space import to_overrides

        # without a space there is nothing to choose: the only trial is the run
        batch = [
            [*trial.study.overrides, *to_overrides(trial.point), *(_AS_TRIAL if trial.study.space else ())]
            for trial in trials
        ]
        names = [run_name(self._compose(job_overrides)) for job_overrides in batch]

        def should_prune(config: "RunConfig", progress: "Progress") -> bool:
            run = run_name(config)  # not the whole configuration, which contains the time if the sweep has no name
            prunes = [trial.should_prune(progress) for trial, name in zip(trials, names, strict=True) if name == run]
            return bool(prunes) and all(prunes)  # two trials may have the same settings

        self._launcher.should_prune = should_prune
        self._launcher.launch(batch, initial_job_idx=launched)
        for trial, name in zip(trials, names, strict=True):
            folder = directory / name
            trial.tell(read_record(folder), folder)

    def _run_winners(self, studies: "Sequence[Study]", launched: int) -> bool:
        """Run the best settings of each study, with the test split; return whether one of the runs failed."""
        from ftlab.sweeps.search_space import to_overrides

        best = [(study, study.best_trial()) for study in studies if study.space]
        batch = [[*study.overrides, *to_overrides(trial.params)] for study, trial in best if trial is not None]
        if not batch:
            return False
        self._launcher.should_prune = lambda config, progress: False
        jobs = self._launcher.launch(batch, initial_job_idx=launched)
        return any(job.status == JobStatus.FAILED for job in jobs)

    def _show(self, directory: Path, studies: "Sequence[Study]", console: Any) -> None:
        from ftlab.comparison import compare
        from ftlab.record import find_records
        from ftlab.sweeps.jobs import is_trial_dir
        from ftlab.sweeps.report import publish_comparison, report_comparison
        from ftlab.sweeps.search_summary import print_search_summary

        if any(not is_trial_dir(folder) for folder, _ in find_records(directory, onerror=lambda _: None)):
            comparison = compare([directory])
            paths = report_comparison(comparison, directory, console)
            publish_comparison([study.config for study in studies], comparison, paths, directory, console)
        sources = self._config.hydra.runtime.config_sources
        print_search_summary(studies, [source.path for source in sources if source.provider == "command-line"], console)
