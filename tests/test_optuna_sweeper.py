"""A search as a user runs it: `hydra/sweeper=optuna`, real jobs of a tiny model, a study for each combination."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("optuna", reason="Optuna is an extra: pip install ftlab[optuna]")

import optuna
from optuna.trial import TrialState

from ftlab.cli import training
from ftlab.record import Progress, RunRecord, find_records
from ftlab.recorder import first_record
from ftlab.sweep import run_name
from hydra_plugins.ftlab_optuna_sweeper import OptunaSweeper
from tests.fixtures.compose import composed
from tests.launch.sweeping import make_place

ROOT = Path(__file__).parents[1]


class Place:
    """A folder with a tiny model and rows, and the command that searches there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model_and_data = [*make_place(folder), "hardware=cpu"]

    def arguments(self, sweep: str, *more: str) -> list[str]:
        return ["-m", "hydra/sweeper=optuna", *self.model_and_data, f"sweep.dir={self.folder / sweep}", *more]

    def search(self, sweep: str, *more: str) -> None:
        training.train(self.arguments(sweep, *more))

    def studies(self, sweep: str) -> dict[str, optuna.Study]:
        """Return the studies by method."""
        storage = f"sqlite:///{self.folder / sweep / 'optuna.db'}"
        names = optuna.get_all_study_names(storage)
        assert names
        return {name.split("-")[0]: optuna.load_study(study_name=name, storage=storage) for name in names}

    def records(self, sweep: str) -> list[RunRecord]:
        return [record for _, record in find_records(self.folder / sweep)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["train.py"])


def _states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials()]


@pytest.mark.slow
def test_each_combination_has_a_study_over_its_own_space(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    space = "hydra.sweeper.search={lr: {low: 1e-4, high: 1e-1, log: true}, optim.batch_size: [8, 16]}"
    command = ("method=full,majority", space, "hydra.sweeper.prune=false")
    place.search("each", *command, "hydra.sweeper.n_trials=2", "hydra.launcher.jobs=2")
    out = capsys.readouterr().out
    studies = place.studies("each")
    assert {method: len(study.trials) for method, study in studies.items()} == {"full": 2, "majority": 1}
    assert len(out.split("report.html")) == 2, "one comparison, however many batches"
    for study in studies.values():
        assert _states(study) == [TrialState.COMPLETE] * len(study.trials)
    records = place.records("each")
    tried = {(r.config["optim"]["lr"], r.config["optim"]["batch_size"]) for r in records if r.method == "full"}
    full = studies["full"]
    assert tried == {(trial.params["optim.lr"], trial.params["optim.batch_size"]) for trial in full.trials}
    assert len(tried) == 2
    values = {r.metrics["classification"]["val"]["loss"].value for r in records if r.method == "full"}
    assert {trial.value for trial in full.trials} == values
    winner = next(line for line in out.splitlines() if line.startswith("  method=full: "))
    assert winner.startswith("  method=full: python train.py model=hf ")
    assert " method=full " in winner
    assert winner.endswith(
        f"optim.lr={full.best_params['optim.lr']!r} optim.batch_size={full.best_params['optim.batch_size']}"
    )
    assert "sweep.dir" not in winner

    before = [trial.params for trial in full.trials]
    place.search("each", *command, "hydra.sweeper.n_trials=3")  # the same again, and one more
    again = place.studies("each")
    assert [trial.params for trial in again["full"].trials][:2] == before
    assert {method: len(study.trials) for method, study in again.items()} == {"full": 3, "majority": 1}
    labels = (place.folder / "each" / "comparison.md").read_text(encoding="utf-8")
    assert all(f"optim.lr={trial.params['optim.lr']}" in labels for trial in again["full"].trials)


@pytest.mark.slow
def test_a_small_space_is_tried_whole_and_what_lags_is_pruned(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.search(
        "prune",
        "method=full",
        "hydra.sweeper.search={lr: [2e-3, 4e-3, 1e-12]}",  # the last one learns nothing
        "hydra.sweeper.startup_trials=2",
        "budget.steps=1200",
        "budget.validations=30",
    )
    (study,) = place.studies("prune").values()
    assert [trial.params["optim.lr"] for trial in study.trials] == [2e-3, 4e-3, 1e-12]
    assert _states(study) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert len(study.trials[0].intermediate_values) == 30, "others are measured by each of its validations"
    pruned = next(record for record in place.records("prune") if record.config["optim"]["lr"] == 1e-12)
    assert (pruned.status, pruned.failure.type) == ("failed", "Pruned")
    assert pruned.progress.step < 1200
    assert "Pruned" in (place.folder / "prune" / "comparison.csv").read_text(encoding="utf-8")
    assert "settings" in capsys.readouterr().out


def test_a_job_of_a_sweep_without_a_name_is_known_as_the_trials(tmp_path: Path) -> None:
    """Such a sweep is called by the time, and the job was composed a second after the trial: it was never pruned."""
    asked: list[bool] = []

    class Launcher:
        hopeless = None

        def launch(self, batch: list[list[str]], initial_job_idx: int) -> None:
            later = composed("sweep.name=a_second_later")
            progress = Progress(step=10, steps=20, loss=1.0, validated=1.0, validated_at=10)
            asked.append(self.hopeless(later, progress))
            asked.append(self.hopeless(composed("seed=1"), progress))
            later_record = first_record(later, tmp_path, []).model_copy(update={"status": "failed"})
            later_record.write(tmp_path / run_name(later))

    sweeper = OptunaSweeper.__new__(OptunaSweeper)
    sweeper._launcher = Launcher()
    sweeper._compose = lambda settings: composed(*settings)
    trial = SimpleNamespace(
        of=SimpleNamespace(overrides=[]), point={}, hopeless=lambda progress: True, settle=lambda *_: None
    )
    sweeper._run([trial], 0, tmp_path)
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 is not valid"),
        (["hydra.sweeper.n_trails=3"], "n_trails"),
        (["+hydra.sweeper.n_trails=3"], "hydra.sweeper.n_trails=3 is not valid"),
        (["hydra.sweeper.search={lr: 3}"], "search.lr of hydra.sweeper is 3: write a list"),
        (["hydra.sweeper.search={lr: [1e-3, -1]}"], "optim.lr=-1 is not valid"),
        (["hydra.sweeper.search={optim.lrr: [1]}"], "optim.lrr is not a setting of ftlab: did you mean lr?"),
        (["sweep.dir=a,b"], "one sweep.dir for all, not 2."),
        (["hydra/launcher=basic"], "hydra/sweeper=optuna needs a launcher of ftlab's"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    arguments: list[str],
    sentence: str,
    place: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        place.search("mistake", *arguments)
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
    assert not (place.folder / "mistake").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_line_sets_is_not_searched(place: Place) -> None:
    place.search("fixed", "method=full", "method.lr=1e-3")
    (study,) = place.studies("fixed").values()
    assert [trial.params for trial in study.trials] == [{}]
    assert [record.config["optim"]["lr"] for record in place.records("fixed")] == [1e-3]


def test_a_search_without_any_complete_trial_fails(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        place.search("none", "method=partial", "method.layers=9", "hydra.sweeper.search={lr: [1e-3]}")
    assert stopped.value.code == 1
    assert "a search has no complete trial" in capsys.readouterr().err
    (study,) = place.studies("none").values()
    assert _states(study) == [TrialState.FAIL]


@pytest.mark.slow
def test_a_study_goes_on_after_its_command_was_killed(place: Place) -> None:
    command = (
        "killed",
        "method=full",
        "hydra.sweeper.search={lr: {low: 1e-4, high: 1e-2, log: true}}",
        "hydra.sweeper.n_trials=2",
        "budget.steps=300",
        "sweep.checkpoint_s=0",
    )
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *place.arguments(*command)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not any(r.progress and r.progress.step > 50 for r in _records_if_any(place, "killed")):
        assert time.monotonic() < deadline, "it never came that far"
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    while any(record.status == "running" for record in place.records("killed")):
        assert time.monotonic() < deadline, "the job outlives its sweep"
        time.sleep(0.05)
    (study,) = place.studies("killed").values()
    assert _states(study) == [TrialState.RUNNING]
    left = study.trials[0].params

    place.search(*command)
    (study,) = place.studies("killed").values()
    assert _states(study) == [TrialState.COMPLETE] * 2
    assert study.trials[0].params == left
    resumed = next(r for r in place.records("killed") if r.config["optim"]["lr"] == left["optim.lr"])
    assert len(resumed.resumed_at) == 1
    assert len(place.records("killed")) == 2


def _records_if_any(place: Place, sweep: str) -> list[RunRecord]:
    return place.records(sweep) if (place.folder / sweep).exists() else []


SWEEPER = '''
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

ConfigStore.instance().store(
    group="hydra/sweeper", name="two", node={"_target_": "hydra_plugins.two.Two"}, provider="two"
)


class Two(Sweeper):
    """Tries two rates, a launch each, and keeps the better one."""

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        values = {}
        for number, rate in enumerate(("1e-3", "1e-12")):
            (done,) = self.launcher.launch([[*arguments, f"optim.lr={rate}"]], initial_job_idx=number)
            values[rate] = done.return_value
        print("VALUES", *values.values(), "BEST", min(values, key=values.get))
'''


@pytest.mark.slow
def test_sweepers_of_others_are_given_the_value_to_optimise(place: Place, tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins" / "two").mkdir(parents=True)
    (tmp_path / "hydra_plugins" / "two" / "__init__.py").write_text(SWEEPER, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            *("-m", "hydra/sweeper=two", *place.model_and_data, "method=full", "budget.steps=40"),
            "sweep.dir=two-${now:%S-%f}",  # resolved once, however often the sweeper launches
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("two-*")
    records = [record for _, record in find_records(folder)]
    expected = [r.metrics["classification"]["val"]["loss"].value for r in records]
    line = next(line for line in done.stdout.splitlines() if line.startswith("VALUES"))
    assert line == f"VALUES {expected[0]} {expected[1]} BEST 1e-3"
