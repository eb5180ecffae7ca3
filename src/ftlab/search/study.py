"""A study for each combination of a sweep: it asks what to try, and is told what came out."""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftlab.compare.curves import read_curves
from ftlab.errors import ConfigError
from ftlab.record import PRUNED, Progress, RunRecord
from ftlab.schema import RunConfig
from ftlab.search.space import Choices, Point, Range, Space, grid, size
from ftlab.sweep import run_name
from ftlab.tasks.spec import TASKS

STORAGE = "optuna.db"  # in the sweep's folder


class Settings(BaseModel):
    """How each study searches.

    Attributes:
        n_trials: how many settings it tries.
        jobs: how many of them at a time; None: one of each study.
        startup_trials: how many of them are drawn at random; none is pruned before as many are complete.
        prune: whether trials that lag behind the others are stopped.
        seed: of the draws; None: that of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    n_trials: int = Field(ge=1)
    jobs: int | None = Field(ge=1)
    startup_trials: int = Field(ge=0)
    prune: bool
    seed: int | None = Field(ge=0)


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return the sweeper's settings.

    Raises:
        ConfigError: one sentence on what is not valid.
    """
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"hydra.sweeper.{key}={first['input']!r} is not valid: {first['msg']}.") from None


class Study:
    """The search for one combination of the swept axes; it lasts from command to command in the sweep's folder.

    Attributes:
        config: the combination, with the defaults of what is searched.
        overrides: the same, as on the command line.
        space: what may be tried.
    """

    def __init__(
        self, config: RunConfig, overrides: list[str], space: Space, settings: Settings, directory: Path
    ) -> None:
        """Find the study in the folder, or begin it."""
        self.config = config
        self.overrides = overrides
        self.space = space
        trials = config.budget.trials or settings.n_trials  # a budget holds for every method
        self._settings = settings = settings.model_copy(update={"n_trials": trials})
        self._task = TASKS[config.dataset.task]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=settings.startup_trials)
        self._study = optuna.create_study(
            study_name=f"{run_name(config)}-{hashlib.sha256(repr(space).encode()).hexdigest()[:8]}",
            storage=f"sqlite:///{directory.resolve() / STORAGE}",
            direction="minimize" if self._task.mode == "min" else "maximize",
            pruner=pruner if settings.prune else optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
        points = size(space)
        self._all = points is not None and points <= settings.n_trials  # then each is tried, and none twice
        for point in grid(space) if self._all else []:
            self._study.enqueue_trial(point, skip_if_exists=True)
        self._left = self.trials(TrialState.RUNNING)  # by a command that was stopped

    @property
    def monitor(self) -> str:
        """What is searched for the best value of."""
        return self._task.monitor

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in these states."""
        return self._study.get_trials(deepcopy=False, states=states)

    def best(self) -> FrozenTrial | None:
        """Return the trial with the best value; None where none is complete."""
        return self._study.best_trial if self.trials(TrialState.COMPLETE) else None

    @property
    def wants_more(self) -> bool:
        """Whether there are trials to be run now."""
        if self._all:
            return bool(self._left or self.trials(TrialState.WAITING))
        return bool(self._left) or self._begun < self._settings.n_trials

    @property
    def is_over(self) -> bool:
        """Whether it has a best trial, and none that a further command would go on with."""
        return self.best() is not None and not self.trials(TrialState.RUNNING) and not self.wants_more

    @property
    def _begun(self) -> int:
        return len(self._study.get_trials(deepcopy=False)) - len(self.trials(TrialState.WAITING))

    def ask(self, most: int) -> list["Trial"]:
        """Return up to so many trials to be run now, first of all those that an earlier command left."""
        asked: list[Trial] = []
        while len(asked) < most and self.wants_more:
            trial = self._next()
            point = {key: _suggest(trial, key, dimension) for key, dimension in self.space.items()}
            asked.append(Trial(self._study, trial, point, self))
        return asked

    def _next(self) -> optuna.Trial:
        if self._left:
            return optuna.Trial(self._study, self._left.pop(0)._trial_id)  # the only way back to a trial
        seed = self.config.seed if self._settings.seed is None else self._settings.seed
        # of the trial's number too, so that a study that is gone on with draws what it would have drawn
        drawn = np.random.SeedSequence([seed, self._begun]).generate_state(1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=self._settings.startup_trials, seed=int(drawn), constant_liar=True
            )
        return self._study.ask()


class Trial:
    """One point of a study's space, on its way.

    Attributes:
        point: the settings to run with.
        of: the study that asks for it.
    """

    def __init__(self, study: optuna.Study, trial: optuna.Trial, point: Point, of: Study) -> None:
        """Take what Optuna asked for."""
        self.point = point
        self.of = of
        self._study = study
        self._trial = trial
        self._reported = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def hopeless(self, progress: Progress) -> bool:
        """Count in the newest validation; return whether the run lags so far behind that it need not end."""
        step, value = progress.validated_at, progress.validated
        if step is None or value is None or step in self._reported or step >= progress.steps:
            return False  # nothing new, or all that is left is the test
        self._report(step, value)
        return self._trial.should_prune()

    def settle(self, record: RunRecord, directory: Path) -> None:
        """Tell the study how the run ended; one that can be gone on with stays open."""
        if record.status == "completed" and record.objective is not None:
            curve = read_curves(directory, [self.of.monitor], most=1000).get(self.of.monitor)
            for step, value in zip(curve.steps, curve.values, strict=True) if curve else ():
                # not all were seen while it ran, and others are measured by them; Lightning logs them a step early
                self._report(step + 1, value)
            self._study.tell(self._trial, record.objective)
        elif record.failure and record.failure.type == PRUNED:
            self._study.tell(self._trial, state=TrialState.PRUNED)
        elif record.status in ("completed", "failed", "oom"):
            self._study.tell(self._trial, state=TrialState.FAIL)

    def _report(self, step: int, value: float) -> None:
        if step not in self._reported:
            self._reported.add(step)
            self._trial.report(value, step)


def _suggest(trial: optuna.Trial, key: str, dimension: Choices | Range) -> str | float | bool | None:
    if isinstance(dimension, Choices):
        return trial.suggest_categorical(key, dimension.values)
    if dimension.whole:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return trial.suggest_int(key, low, high, step=step, log=dimension.log)
    return trial.suggest_float(key, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
