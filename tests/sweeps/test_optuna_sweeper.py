"""A search as a user runs it: `hydra/sweeper=optuna`, real jobs of a tiny model, a study for each combination."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("optuna", reason="Optuna is an extra: pip install ftlab[optuna]")

import optuna
from optuna.trial import TrialState

from ftlab.cli import training
from ftlab.record import Progress, RunRecord, find_records
from ftlab.sweeps.jobs import JobsFailed, run_name
from ftlab.train.recorder import new_record
from hydra_plugins.ftlab_optuna_sweeper import OptunaSweeper
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.launch.sweeping import WAITING_METHOD, Bench, bench, meanwhile, until

__all__ = ["bench"]

# Their jobs come from one process of one worker, which takes ten seconds to import all that they need.
of_the_bench = pytest.mark.xdist_group("bench")
of_the_commands = pytest.mark.xdist_group("commands")

# Where the learning rate is next to nothing, training waits after its first validation to be told to stop.
LAGGING = """
from pathlib import Path

import yaml

import waiting


class Lags(waiting.Waits):
    step = 12

    def on_train_batch_end(self, trainer, *args):
        config = yaml.safe_load((Path(trainer.default_root_dir) / "config.yaml").read_text())
        if config["optim"]["lr"] < 1e-9:
            super().on_train_batch_end(trainer, *args)


class Lagging(waiting.Full):
    def callbacks(self):
        return [Lags()]
"""


class Place:
    """A folder with a tiny model and rows, and the command that searches there."""

    def __init__(self, folder: Path, settings: list[str]) -> None:
        self.folder = folder
        self.model_and_data = settings

    def search(self, sweep: str, *more: str, call: Callable[..., Path | None] = training.train) -> Path | None:
        return call(["-m", "hydra/sweeper=optuna", *self.model_and_data, f"sweep.dir={self.folder / sweep}", *more])

    def studies(self, sweep: str) -> dict[str, optuna.Study]:
        """Return the studies by method."""
        storage = f"sqlite:///{self.folder / sweep / 'optuna.db'}"
        names = optuna.get_all_study_names(storage)
        assert names
        return {name.split("-")[0]: optuna.load_study(study_name=name, storage=storage) for name in names}

    def records(self, sweep: str) -> list[RunRecord]:
        return [record for _, record in find_records(self.folder / sweep)]


@pytest.fixture
def place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(bench.folder)
    return Place(bench.folder / "searches", bench.settings)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["train.py"])


def _states(study: optuna.Study) -> list[TrialState]:
    return [trial.state for trial in study.get_trials()]


@pytest.mark.slow
@of_the_commands
def test_each_combination_has_a_study_over_its_own_space(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    space = "hydra.sweeper.search={lr: {low: 1e-4, high: 1e-1, log: true}, optim.batch_size: [8, 16]}"
    command = ("method=full,majority", space, "hydra.sweeper.prune=false")
    place.search("each", *command, "hydra.sweeper.n_trials=2", "hydra.launcher.jobs=2")
    out = capsys.readouterr().out
    studies = place.studies("each")
    assert {method: len(study.trials) for method, study in studies.items()} == {"full": 2, "majority": 1}
    assert len(out.split("report.html")) == 2, "one comparison, however many batches"
    assert "seed 0 of full chose the settings" in " ".join(out.split()), "the winner has the seed of its trials"
    for study in studies.values():
        assert _states(study) == [TrialState.COMPLETE] * len(study.trials)
    trials = [record for record in place.records("each") if record.role == "trial"]
    runs = {record.method: record for record in place.records("each") if record.role == "run"}
    assert not [record for record in trials if "test" in record.metrics["classification"]], "no trial sees the test"
    records = trials
    tried = {(r.config["optim"]["lr"], r.config["optim"]["batch_size"]) for r in records if r.method == "full"}
    full = studies["full"]
    assert tried == {(trial.params["optim.lr"], trial.params["optim.batch_size"]) for trial in full.trials}
    assert len(tried) == 2
    values = {r.metrics["classification"]["val"]["loss"].value for r in records if r.method == "full"}
    assert {trial.value for trial in full.trials} == values
    assert set(runs) == {"full", "majority"}
    assert all(run.metrics["classification"]["test"]["accuracy"].n for run in runs.values())
    assert runs["full"].config["optim"]["lr"] == full.best_params["optim.lr"]
    winner = next(line for line in out.splitlines() if "python train.py model=hf " in line and "method=full" in line)
    assert winner.endswith(
        f"optim.lr={full.best_params['optim.lr']!r} optim.batch_size={full.best_params['optim.batch_size']}"
    )
    assert "sweep.dir" not in winner

    before = [trial.params for trial in full.trials]
    place.search("each", *command, "hydra.sweeper.n_trials=3")  # the same again, and one more
    again = place.studies("each")
    assert [trial.params for trial in again["full"].trials][:2] == before
    assert {method: len(study.trials) for method, study in again.items()} == {"full": 3, "majority": 1}
    tested = [record for record in place.records("each") if record.role == "run" and record.method == "full"]
    assert again["full"].best_params["optim.lr"] in {record.config["optim"]["lr"] for record in tested}
    assert "learning rates tried" not in (place.folder / "each" / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.slow
@of_the_commands
def test_a_small_space_is_tried_whole_and_what_lags_is_pruned(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    Path("slow_learner.py").write_text(LAGGING, encoding="utf-8")
    place.search(
        "prune",
        *("method=full", "method._target_=slow_learner.Lagging"),
        "hydra.sweeper.search={lr: [2e-3, 4e-3, 1e-12]}",  # the last one learns nothing
        "hydra.sweeper.startup_trials=2",
        "budget.steps=40",
        "budget.validations=4",
    )
    (study,) = place.studies("prune").values()
    assert [trial.params["optim.lr"] for trial in study.trials] == [2e-3, 4e-3, 1e-12]
    assert _states(study) == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED]
    assert len(study.trials[0].intermediate_values) == 4, "others are measured by each of its validations"
    pruned = next(record for record in place.records("prune") if record.config["optim"]["lr"] == 1e-12)
    assert (pruned.status, pruned.failure) == ("pruned", None)
    assert 12 <= pruned.progress.step < 40
    assert pruned.role == "trial"
    assert "pruned" in capsys.readouterr().out
    (run,) = [record for record in place.records("prune") if record.role == "run"]
    assert (run.status, run.config["optim"]["lr"]) == ("completed", study.best_params["optim.lr"])


def test_a_job_of_a_sweep_without_a_name_is_known_as_the_trials(tmp_path: Path) -> None:
    """Such a sweep is called by the time, and the job was composed a second after the trial: it was never pruned."""
    asked: list[bool] = []

    class Launcher:
        should_prune = None

        def launch(self, batch: list[list[str]], initial_job_idx: int) -> None:
            later = composed("sweep.name=a_second_later", "search.name=optuna", "++search.role=trial")
            progress = Progress(step=10, steps=20, loss=1.0, validated=1.0, validated_at=10)
            asked.append(self.should_prune(later, progress))
            asked.append(self.should_prune(composed("sweep.name=a_second_later"), progress))
            later_record = new_record(later, tmp_path, []).model_copy(update={"status": "failed"})
            later_record.write(tmp_path / run_name(later))

    sweeper = OptunaSweeper.__new__(OptunaSweeper)
    sweeper._launcher = Launcher()
    sweeper._compose = lambda settings: composed(*settings)
    trial = SimpleNamespace(
        study=SimpleNamespace(overrides=[], space={"optim.lr": None}),
        point={},
        should_prune=lambda progress: True,
        tell=lambda *_: None,
    )
    sweeper._run([trial], 0, tmp_path)
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("arguments", "culprits"),
    [
        (["hydra.sweeper.n_trials=0"], ["hydra.sweeper.n_trials=0"]),
        (["hydra.sweeper.n_trails=3"], ["n_trails"]),
        (["+hydra.sweeper.n_trails=3"], ["hydra.sweeper.n_trails=3"]),
        (["hydra.sweeper.search={lr: 3}"], ["search.lr of hydra.sweeper", "3", "{low: A, high: B}"]),
        (["hydra.sweeper.search={lr: [1e-3, -1]}"], ["optim.lr=-1"]),
        (["hydra.sweeper.search={optim.lrr: [1]}"], ["optim.lrr", "did you mean lr?"]),
        (["sweep.dir=a,b"], ["sweep.dir", "2"]),
        (["optim.lr=interval(1e-4,1e-2)"], ["optim.lr=interval(1e-4,1e-2)", "hydra.sweeper.search"]),
        (["hydra/launcher=basic"], ["hydra/sweeper=optuna", "hydra/launcher=local"]),
        (["method=lora", "search.rung=0.5"], ["search.rung", "Optuna"]),
    ],
)
def test_a_mistake_is_told_before_anything_starts(
    arguments: list[str],
    culprits: list[str],
    place: Place,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training.forkserver, "start", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        place.search("mistake", *arguments)
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert [culprit for culprit in culprits if culprit not in err] == []
    assert len(err.strip().splitlines()) == 1
    assert not (place.folder / "mistake").exists()
    assert list(tmp_path.iterdir()) == []


@of_the_bench
def test_what_the_command_line_sets_is_not_searched(place: Place) -> None:
    for _ in range(2):  # the second time nothing is left to launch
        folder = place.search("fixed", "method=full", "method.lr=1e-3", call=training.run_experiments)
        assert folder == place.folder / "fixed"
    (study,) = place.studies("fixed").values()
    assert [trial.params for trial in study.trials] == [{}]
    assert [record.config["optim"]["lr"] for record in place.records("fixed")] == [1e-3]


@of_the_bench
def test_a_search_without_any_complete_trial_fails(place: Place) -> None:
    command = ("method=partial", "method.layers=9", "hydra.sweeper.search={lr: [1e-3]}")
    with refused(JobsFailed, "trial") as failed:
        place.search("none", *command, call=training.run_experiments)
    assert failed.value.directory == place.folder / "none"
    (study,) = place.studies("none").values()
    assert _states(study) == [TrialState.FAIL]


@pytest.mark.slow
@of_the_commands
def test_a_study_goes_on_after_its_command_was_stopped(place: Place) -> None:
    rates = "hydra.sweeper.search={lr: {low: 1e-4, high: 1e-2, log: true}}"
    command = ("stopped", *WAITING_METHOD, rates, "hydra.sweeper.n_trials=2")
    folder = place.folder / "stopped"

    def stop() -> None:
        until(lambda: list(folder.glob("*/waits-0")), "the first trial trains")
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(SystemExit) as stopped, meanwhile(stop):
        place.search(*command)
    assert stopped.value.code == 128 + signal.SIGINT
    (study,) = place.studies("stopped").values()
    assert _states(study) == [TrialState.RUNNING]
    left = study.trials[0].params

    (folder / "go").touch()
    place.search(*command)
    (study,) = place.studies("stopped").values()
    assert _states(study) == [TrialState.COMPLETE] * 2
    assert study.trials[0].params == left
    resumed = next(r for r in place.records("stopped") if r.config["optim"]["lr"] == left["optim.lr"])
    assert len(resumed.resumed_at) == 1
    assert sorted(record.role for record in place.records("stopped")) == ["run", "trial", "trial"]
