"""Optuna studies, one for each combination of the swept axes, used through ask-and-tell."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftlab.comparison.curves import read_curves
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import ConfigError
from ftlab.record import Progress, RunRecord
from ftlab.sweeps.jobs import run_name
from ftlab.sweeps.search_space import Choices, Point, Range, Space, grid_points, num_points

STORAGE = "optuna.db"  # in the sweep's folder


class SweeperSettings(BaseModel):
    """Settings of the Optuna sweeper, for each study.

    Attributes:
        n_trials: number of trials.
        jobs: number of trials at a time; None: one of each study.
        startup_trials: number of trials that are sampled at random; pruning starts after as many are complete.
        prune: whether to stop trials that do worse than the median of the others.
        seed: seed of the sampler; None: that of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n_trials: int = Field(ge=1)
    jobs: int | None = Field(ge=1)
    startup_trials: int = Field(ge=0)
    prune: bool
    seed: int | None = Field(ge=0)


def read_sweeper_settings(values: Mapping[str, Any]) -> SweeperSettings:
    """Return the validated settings of the sweeper.

    Raises:
        ConfigError: names the setting that is not valid.
    """
    try:
        return SweeperSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"hydra.sweeper.{key}={first['input']!r} is not valid: {first['msg']}.") from None


class Study:
    """Search for one combination of the swept axes, stored in the sweep's folder, where later commands continue it.

    Attributes:
        config: configuration of the combination, with the defaults of the searched hyperparameters.
        overrides: overrides of the command line that make this combination.
        space: search space.
    """

    def __init__(
        self, config: RunConfig, overrides: list[str], space: Space, settings: SweeperSettings, directory: Path
    ) -> None:
        """Load the study from the folder, or create it there."""
        self.config = config
        self.overrides = overrides
        self.space = space
        n_trials = config.budget.trials or settings.n_trials  # budget.trials takes precedence, for every method
        self._settings = settings = settings.model_copy(update={"n_trials": n_trials})
        self._kind = config.dataset.kind
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=settings.startup_trials)
        self._study = optuna.create_study(
            study_name=f"{run_name(config)}-{hashlib.sha256(repr(space).encode()).hexdigest()[:8]}",
            storage=f"sqlite:///{directory.resolve() / STORAGE}",
            direction="minimize" if self._kind.mode == "min" else "maximize",
            pruner=pruner if settings.prune else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        points = num_points(space)
        self._exhaustive = points is not None and points <= settings.n_trials  # grid search: every point once
        for point in grid_points(space) if self._exhaustive else []:
            self._study.enqueue_trial(point, skip_if_exists=True)
        self._unfinished = self.trials(TrialState.RUNNING)  # left by an earlier command that was stopped

    @property
    def monitor(self) -> str:
        """Name of the metric that is optimised."""
        return self._kind.monitor

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in these states."""
        return self._study.get_trials(deepcopy=False, states=states)

    def best_trial(self) -> FrozenTrial | None:
        """Return the trial with the best value; None if none is complete."""
        return self._study.best_trial if self.trials(TrialState.COMPLETE) else None

    @property
    def has_more_trials(self) -> bool:
        """Whether there are trials left to run."""
        if self._exhaustive:
            return bool(self._unfinished or self.trials(TrialState.WAITING))
        return bool(self._unfinished) or self._num_started < self._settings.n_trials

    @property
    def is_finished(self) -> bool:
        """Whether it has a best trial, and no trials that a further command would run or resume."""
        return self.best_trial() is not None and not self.trials(TrialState.RUNNING) and not self.has_more_trials

    @property
    def _num_started(self) -> int:
        return len(self._study.get_trials(deepcopy=False)) - len(self.trials(TrialState.WAITING))

    def ask(self, limit: int) -> list["Trial"]:
        """Return up to `limit` trials to run now; those that an earlier command left unfinished come first."""
        trials: list[Trial] = []
        while len(trials) < limit and self.has_more_trials:
            trial = self._next_trial()
            point = {key: _suggest(trial, key, dimension) for key, dimension in self.space.items()}
            trials.append(Trial(self._study, trial, point, self))
        return trials

    def _next_trial(self) -> optuna.Trial:
        if self._unfinished:
            return optuna.Trial(self._study, self._unfinished.pop(0)._trial_id)  # the only way to resume a trial
        seed = self.config.seed if self._settings.seed is None else self._settings.seed
        # depends on the trial's number too, so that a resumed study samples what an uninterrupted one would
        sampler_seed = np.random.SeedSequence([seed, self._num_started]).generate_state(1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=self._settings.startup_trials, seed=int(sampler_seed), constant_liar=True
            )
        return self._study.ask()


class Trial:
    """Trial of a study that is to be run.

    Attributes:
        point: the values of the searched hyperparameters.
        study: the study that it belongs to.
    """

    def __init__(self, optuna_study: optuna.Study, trial: optuna.Trial, point: Point, study: Study) -> None:
        """Wrap a trial that Optuna has created."""
        self.point = point
        self.study = study
        self._optuna_study = optuna_study
        self._trial = trial
        self._reported = set(optuna_study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def should_prune(self, progress: Progress) -> bool:
        """Report the newest validation to Optuna; return whether to prune the run at this point."""
        step, value = progress.validated_at, progress.validated
        if step is None or value is None or step in self._reported or step >= progress.steps:
            return False  # nothing new, or only the test is left
        self._report(step, value)
        return self._trial.should_prune()

    def tell(self, record: RunRecord, directory: Path) -> None:
        """Tell Optuna how the run ended; the trial of a run that can be resumed stays open."""
        if record.status == "completed" and record.objective is not None:
            curve = read_curves(directory, [self.study.monitor], max_points=1000).get(self.study.monitor)
            for step, value in zip(curve.steps, curve.values, strict=True) if curve else ():
                # the pruner compares others to all values, and some were not seen while it ran; Lightning logs them a
                # step early
                self._report(step + 1, value)
            self._optuna_study.tell(self._trial, record.objective)
        elif record.status == "pruned":
            self._optuna_study.tell(self._trial, state=TrialState.PRUNED)
        elif record.status in ("completed", "failed", "oom"):
            self._optuna_study.tell(self._trial, state=TrialState.FAIL)

    def _report(self, step: int, value: float) -> None:
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(value, step)


def _suggest(trial: optuna.Trial, key: str, dimension: Choices | Range) -> str | float | bool | None:
    if isinstance(dimension, Choices):
        return trial.suggest_categorical(key, dimension.values)
    if dimension.is_integer:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=dimension.log)
    return trial.suggest_float(key, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
