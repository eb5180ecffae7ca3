"""A study asks, is told, prunes, and goes on where a command stopped; no run takes place here."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="Optuna is an extra: pip install ftlab[optuna]")

import optuna
from optuna.trial import TrialState

from ftlab.record import Failure, Progress, RunRecord, Status
from ftlab.sweeps.optuna_study import STORAGE, Study, SweeperSettings, Trial
from ftlab.sweeps.search_space import read_space
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed

STEPS = 40
RATES = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without studies: making its tables takes longer than all that is done with them here."""
    path = tmp_path_factory.mktemp("storage") / STORAGE
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture(autouse=True)
def _storage(tables: Path, tmp_path: Path) -> None:
    shutil.copy(tables, tmp_path)


def study(folder: Path, search: dict[str, Any], **settings: Any) -> Study:
    given = {"n_trials": 4, "jobs": None, "startup_trials": 2, "prune": True, "seed": None, **settings}
    return Study(composed("method=full"), ["method=full"], read_space(search, "x"), SweeperSettings(**given), folder)


def record(status: Status, value: float | None = None, failure: str | None = None) -> RunRecord:
    progress = None if value is None else progress_at(STEPS, value)
    failed = Failure(type=failure, message="for a test") if failure else None
    update = {"status": status, "progress": progress, "failure": failed}
    return new_record(composed("method=full"), Path("run"), []).model_copy(update=update)


def progress_at(step: int, value: float) -> Progress:
    return Progress(step=step, steps=STEPS, loss=None, validated=value, validated_at=step, best=value)


def complete(trial: Trial, folder: Path, curve: dict[int, float]) -> None:
    """Settle a trial whose run logged this curve, as Lightning does it: a step early."""
    folder.mkdir(exist_ok=True)
    with (folder / "metrics.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["step", "val/loss"], *((step - 1, value) for step, value in curve.items())])
    trial.tell(record("completed", curve[STEPS]), folder)


def rates(trials: list[Trial]) -> list[Any]:
    return [trial.point["optim.lr"] for trial in trials]


def test_there_are_so_many_trials_and_the_best_has_the_lowest_value(tmp_path: Path) -> None:
    here = study(tmp_path, RATES, n_trials=3)
    tried = []
    for value in (0.5, 0.3, 0.4):
        (trial,) = here.ask(1)
        trial.tell(record("completed", value), tmp_path)
        tried += rates([trial])
    assert not here.has_more_trials
    assert here.ask(1) == []
    assert here.is_finished
    assert here.best_trial().value == 0.3
    assert here.best_trial().params == {"optim.lr": tried[1]}
    assert len(set(tried)) == 3
    more = study(tmp_path, RATES, n_trials=5)
    assert len(more.ask(9)) == 2


def test_a_budget_of_trials_is_the_number_for_every_method(tmp_path: Path) -> None:
    (tmp_path / STORAGE).unlink()  # here the study makes its own
    config = composed("method=full", "budget=trials", "budget.trials=2")
    given = SweeperSettings(n_trials=4, jobs=None, startup_trials=2, prune=True, seed=None)
    here = Study(config, ["method=full"], read_space(RATES, "x"), given, tmp_path)
    assert len(here.ask(9)) == 2


def test_a_small_space_is_tried_whole_in_its_order(tmp_path: Path) -> None:
    here = study(tmp_path, {"lr": [0.3, 0.1], "optim.warmup": [0, 0.1]}, n_trials=4)
    points = [tuple(trial.point.values()) for trial in here.ask(9)]
    assert points == [(0.3, 0), (0.3, 0.1), (0.1, 0), (0.1, 0.1)]


def test_without_a_space_the_defaults_are_tried_once(tmp_path: Path) -> None:
    (trial,) = study(tmp_path, {}).ask(9)
    assert trial.point == {}
    trial.tell(record("completed", 0.5), tmp_path)
    assert study(tmp_path, {}).ask(9) == []


def test_how_a_run_ended_is_told(tmp_path: Path) -> None:
    here = study(tmp_path, RATES, n_trials=6)
    ends: list[tuple[RunRecord, TrialState]] = [
        (record("completed", 0.5), TrialState.COMPLETE),
        (record("completed"), TrialState.FAIL),
        (record("failed", 0.5, "NonFiniteLoss"), TrialState.FAIL),
        (record("pruned", 0.5), TrialState.PRUNED),
        (record("oom"), TrialState.FAIL),
        (record("timeout", 0.5), TrialState.RUNNING),
    ]
    for trial, (end, _) in zip(here.ask(6), ends, strict=True):
        trial.tell(end, tmp_path)
    assert [trial.state for trial in here.trials(*TrialState)] == [state for _, state in ends]
    assert not here.is_finished, "one can be gone on with"


def test_what_lags_behind_the_median_at_its_step_is_hopeless(tmp_path: Path) -> None:
    here = study(tmp_path, RATES)
    for number, end in enumerate((0.2, 0.3)):
        (trial,) = here.ask(1)
        assert not trial.should_prune(progress_at(10, 9.9)), "nothing is pruned before two are complete"
        complete(trial, tmp_path / str(number), {10: 0.6, 20: 0.4, 30: 0.35, STEPS: end})
    (trial,) = here.ask(1)
    assert not trial.should_prune(Progress(step=3, steps=STEPS, loss=1.0))
    assert not trial.should_prune(progress_at(20, 0.39))
    assert not trial.should_prune(progress_at(20, 9.9)), "a validation counts once"
    assert trial.should_prune(progress_at(30, 0.38)), "its best, 0.38, is above 0.35"
    assert not trial.should_prune(progress_at(STEPS, 9.9)), "all that is left is the test"
    patient = study(tmp_path, {**RATES, "optim.warmup": [0, 0.1]}, prune=False)
    (trial,) = patient.ask(1)
    assert not trial.should_prune(progress_at(30, 9.9))


def test_a_trial_that_was_left_is_gone_on_with_first(tmp_path: Path) -> None:
    before = study(tmp_path, RATES, n_trials=3)
    left = before.ask(2)
    assert not left[0].should_prune(progress_at(10, 0.5))
    after = study(tmp_path, RATES, n_trials=3)  # the command was killed, and is given again
    again = after.ask(9)
    assert rates(again)[:2] == rates(left)
    assert len(again) == 3
    assert not again[0].should_prune(progress_at(10, 0.5))  # reported before: Optuna would warn of a second time
    for trial in again:
        trial.tell(record("completed", 0.5), tmp_path)
    assert after.is_finished


def test_draws_depend_on_the_seed_and_not_on_interruptions(tmp_path: Path, tables: Path) -> None:
    def drawn(name: str, commands: int, seed: int | None) -> list[Any]:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(tables, folder)
        found = []
        for total in [4] if commands == 1 else range(1, 5):
            here = study(folder, RATES, n_trials=total, seed=seed)
            while trials := here.ask(1):
                trials[0].tell(record("completed", trials[0].point["optim.lr"]), folder)
                found += rates(trials)
        return found

    whole = drawn("whole", 1, None)
    assert len(set(whole)) == 4
    assert drawn("parts", 4, None) == whole
    assert drawn("run's", 1, 0) == whole
    assert drawn("other", 1, 1) != whole


def test_another_space_is_another_study(tmp_path: Path) -> None:
    study(tmp_path, RATES).ask(2)
    assert len(study(tmp_path, {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}).ask(9)) == 4
