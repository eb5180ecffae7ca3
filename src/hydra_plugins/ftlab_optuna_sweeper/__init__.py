"""Hydra sweeper `optuna`: a study for each combination of the swept axes, each over its method's own space."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from ftlab.record import Progress
    from ftlab.schema import RunConfig
    from ftlab.search.space import Space
    from ftlab.search.study import Study, Trial


class OptunaSweeper(Sweeper):
    """Asks the studies what to try, has it launched, and tells them what came out, until each has had its trials."""

    def __init__(self, search: DictConfig | None, **settings: Any) -> None:
        """Take the settings of conf/hydra/sweeper/optuna.yaml."""
        self._search = search
        self._settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `sweep` needs."""
        self._loader = hydra_context.config_loader
        self._config = config
        self._launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run trials until every combination has had its number of them, and show the best.

        Args:
            arguments: overrides of the command line, swept ones and others.

        Raises:
            ConfigError: the settings or a space are not valid; nothing was started.
            JobsFailed: a combination has no complete trial, or one that can be gone on with.
        """
        # imported here because Hydra imports every plugin at every start, `--help` included
        from rich.console import Console

        from ftlab.errors import ConfigError
        from ftlab.sweep import JobsFailed, signals_as_interrupts

        if not hasattr(self._launcher, "hopeless"):
            raise ConfigError("hydra/sweeper=optuna needs a launcher of ftlab's: use hydra/launcher=local.")
        directory, studies = self._studies(arguments)
        self._launcher.quiet = True  # one comparison at the end, not one for each batch
        launched = 0
        try:
            with signals_as_interrupts():
                while trials := self._ask(studies):
                    self._run(trials, launched, directory)
                    launched += len(trials)
        finally:
            self._show(directory, studies, Console())
        if not all(study.is_over for study in studies):
            raise JobsFailed("a search has no complete trial, or an open one: the same command goes on with it.")

    def _studies(self, arguments: list[str]) -> "tuple[Path, list[Study]]":
        """Return the sweep's folder and the study of each combination; all is checked before any of it is written."""
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from ftlab.errors import ConfigError
        from ftlab.search.space import corners, overrides
        from ftlab.sweep import run_name

        try:
            from ftlab.search.study import Study, read_settings
        except ModuleNotFoundError as error:
            raise ConfigError(f'hydra/sweeper=optuna needs {error.name}: run pip install "ftlab[optuna]".') from None
        settings = read_settings(self._settings)
        parsed = OverridesParser.create(config_loader=self._loader).parse_overrides(arguments)
        (combinations,) = BasicSweeper.split_arguments(parsed, None)
        found: dict[tuple[str, str], tuple[RunConfig, list[str], Space]] = {}
        for combination in combinations:
            config = self._compose(combination)
            if config.plan:
                raise ConfigError("plan is for jobs that are known, and a search finds its own: leave one of them out.")
            space = self._space(config, combination)
            for corner in corners(space):
                self._compose([*combination, *overrides(corner)])
            found[config.sweep.dir, run_name(config)] = config, combination, space
        directories = {directory for directory, _ in found}
        if len(directories) != 1:
            raise ConfigError(f"a sweep has at least one job and one sweep.dir for all, not {len(directories)}.")
        directory = Path(directories.pop())
        directory.mkdir(parents=True, exist_ok=True)
        return directory, [Study(*one, settings, directory) for one in found.values()]

    def _compose(self, overrides: Sequence[str]) -> "RunConfig":
        from ftlab.composition import compose_job, resolve

        return resolve(compose_job(self._loader, self._config, overrides))

    def _space(self, config: "RunConfig", combination: Sequence[str]) -> "Space":
        """Return what the combination leaves open of its method's space; what never trains has no settings to try."""
        from ftlab.search.space import read_space

        if config.method.lr is None:
            return {}
        given: Any = OmegaConf.to_container(self._search, resolve=True) if self._search else {}
        own = read_space(config.method.search, f"method={config.method.name}")
        space = own | read_space(given, "hydra.sweeper")
        fixed = {text.partition("=")[0].lstrip("+") for text in combination}
        if "method.lr" in fixed:
            fixed.add("optim.lr")
        return {key: dimension for key, dimension in space.items() if key not in fixed}

    def _ask(self, studies: "Sequence[Study]") -> "list[Trial]":
        """Return the next batch: a trial of every study that wants one, and more of each where there is room."""
        wanting = sum(study.wants_more for study in studies)
        each = max(1, math.ceil((self._settings["jobs"] or 1) / wanting)) if wanting else 0
        return [trial for study in studies for trial in study.ask(each)]

    def _run(self, trials: "Sequence[Trial]", launched: int, directory: Path) -> None:
        """Launch a batch, and tell the studies how it ended."""
        from ftlab.record import read_record
        from ftlab.search.space import overrides
        from ftlab.sweep import run_name

        batch = [[*trial.of.overrides, *overrides(trial.point)] for trial in trials]
        names = [run_name(self._compose(settings)) for settings in batch]

        def hopeless(config: "RunConfig", progress: "Progress") -> bool:
            run = run_name(config)  # not the whole configuration: a sweep that is not named has the time for a name
            lagging = [trial.hopeless(progress) for trial, own in zip(trials, names, strict=True) if own == run]
            return bool(lagging) and all(lagging)  # two trials may have come to the same settings

        self._launcher.hopeless = hopeless
        self._launcher.launch(batch, initial_job_idx=launched)
        for trial, name in zip(trials, names, strict=True):
            folder = directory / name
            trial.settle(read_record(folder), folder)

    def _show(self, directory: Path, studies: "Sequence[Study]", console: Any) -> None:
        from ftlab import compare
        from ftlab.record import find_records
        from ftlab.reporting import publish, report
        from ftlab.search.summary import show

        if find_records(directory):
            comparison = compare.compare([directory])
            paths = report(comparison, directory, console)
            publish([study.config for study in studies], comparison, paths, directory, console)
        sources = self._config.hydra.runtime.config_sources
        show(studies, [source.path for source in sources if source.provider == "command-line"], console)
