"""A run without a result goes on in its own folder, others are repeated elsewhere."""

import json
import os
import shutil
from pathlib import Path

import pytest

from ftlab.core.errors import ConfigError, UserError
from ftlab.launch.local import LocalExecutor
from ftlab.record import FILE_NAME, read_record
from ftlab.record.checkpoints import FOLDER, checkpoint_path, resume_points
from ftlab.sweeps.jobs import sweep_lock
from ftlab.sweeps.rerun import prepare_rerun, repetition_of, run_again
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states
from tests.launch.sweeping import Bench, bench, directory_of
from tests.launch.test_resume import RUN, results
from tests.rows import classification_csv
from tests.sweeps.recorded_runs import Submitted, change_config, put_run, started

__all__ = ["bench"]

WITHOUT_RESULT = ("failed", "oom", "timeout", "interrupted", "paused", "pruned")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("status", WITHOUT_RESULT)
def test_a_run_without_a_result_runs_in_its_own_folder(status: str) -> None:
    run = put_run(status, "sweep.retry=none", "search.rung=0.5")
    rerun = prepare_rerun(run)
    assert rerun.in_place
    assert rerun.directory == run
    assert repetition_of(rerun, rerun.record) is None
    states(str(rerun), run, status, "start")
    job = started(run)
    assert job is not None
    assert job.directory == run
    recorded = read_record(run).config
    assert job.config.search.rung is None
    expected = composed("method=lora", "tracker=none", "sweep.dir=outputs/sweep")
    assert job.config.model_dump() == expected.model_dump(), "something else than the rung was changed"
    assert recorded["sweep"]["retry"] == "none"


def test_it_tells_from_which_checkpoint_it_goes_on() -> None:
    run = put_run("interrupted")
    for step in (7, 12):
        checkpoint_path(run / FOLDER, step).parent.mkdir(exist_ok=True)
        checkpoint_path(run / FOLDER, step).touch()
    states(str(prepare_rerun(run)), "checkpoint", 12)


def test_a_completed_run_is_repeated_in_a_new_sweep() -> None:
    run = put_run("completed", "plan=first")
    rerun = prepare_rerun(run)
    assert not rerun.in_place
    assert rerun.sweep.parent == Path("outputs")
    assert rerun.config.sweep.name == rerun.sweep.name != "sweep"
    assert rerun.directory.name == run.name, "it is the same run"
    assert rerun.config.plan is False
    repetition = repetition_of(rerun, rerun.record)
    assert repetition
    assert repetition.settings == ()


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_other_settings_make_another_run(status: str) -> None:
    run = put_run(status)
    rerun = prepare_rerun(run, ["optim.lr=0.5", "seed=3", "sweep.name=other"])
    assert rerun.sweep == Path("outputs/other")
    assert (rerun.config.optim.lr, rerun.config.seed) == (0.5, 3)
    assert rerun.directory.name != run.name
    assert read_record(run).config["optim"]["lr"] != 0.5
    elsewhere = prepare_rerun(run, ["sweep.dir=else/where"])
    assert elsewhere.directory == Path("else/where") / run.name
    assert prepare_rerun(run, ["seed=1"]).sweep.parent == Path("outputs")


def test_a_rung_belongs_to_who_asks_for_it() -> None:
    run = put_run("paused", "search.rung=0.25")
    assert prepare_rerun(run, ["seed=1"]).config.search.rung is None
    assert prepare_rerun(run, ["search.rung=0.5"]).config.search.rung == 0.5


def test_what_a_search_chose_is_kept_and_not_searched_again() -> None:
    run = put_run("failed", "search=lr", "optim.lr=0.123")
    job = started(run)
    assert job is not None
    assert (job.config.search.name, job.config.optim.lr) == ("lr", 0.123)


def test_a_wrong_value_is_told_by_its_key() -> None:
    run = put_run("completed")
    with refused(ConfigError, "optim.lr='x'"):
        prepare_rerun(run, ["optim.lr=x"])
    with refused(ConfigError, "optim.lrr", "mean lr?"):
        prepare_rerun(run, ["optim.lrr=1"])


def test_a_moved_sweep_runs_where_it_is_now(tmp_path: Path) -> None:
    run = put_run("failed")
    (tmp_path / "archive").mkdir()
    moved = Path(shutil.move("outputs", tmp_path / "archive")) / "sweep" / run.name
    job = started(moved)
    assert job is not None
    assert job.directory.resolve() == moved
    assert Path(job.config.sweep.dir).resolve() == moved.parent
    assert not Path("outputs").exists()


@pytest.mark.parametrize("place", ["run", "sweep", "link"])
def test_a_run_is_given_by_any_path(place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = put_run("failed").resolve()
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir({"run": run, "sweep": run.parent, "link": tmp_path}[place])
    rerun = prepare_rerun(Path({"run": ".", "sweep": run.name, "link": "link"}[place]))
    assert rerun.in_place
    assert rerun.directory.resolve() == run


def test_a_renamed_folder_is_told_with_its_name() -> None:
    run = put_run("failed")
    renamed = run.rename(run.with_name("mine"))
    with refused(UserError, renamed, run.name, "sweep.name"):
        prepare_rerun(renamed)
    assert prepare_rerun(renamed, ["sweep.name=new"]).directory == Path("outputs/new") / run.name


def test_other_rows_make_another_run_which_is_not_mixed_into_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classification_csv(tmp_path / "rows.csv")
    run = put_run("failed", "dataset=text_files", "dataset.source.train=rows.csv")
    assert prepare_rerun(run).in_place
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")  # where there is no rows.csv
    with refused(UserError, run.name, "sweep.name"):
        prepare_rerun(tmp_path / run)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    with refused(UserError, run, "data", "sweep.name"):
        prepare_rerun(run)
    assert prepare_rerun(run, ["sweep.name=new"]).sweep == Path("outputs/new")


def test_a_trial_a_sweep_and_a_running_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = put_run("failed", "+search.role=trial", role="trial")
    assert trial.name.startswith("trial-")
    run = put_run("running")
    for given, culprits in (
        (trial, ("trial", "search")),
        (run, (os.getpid(), run)),
        (run.parent, (run,)),
        (run / FILE_NAME, (run,)),
        (Path("none"), ("none",)),
    ):
        with refused(UserError, *culprits):
            prepare_rerun(given, ["seed=1"])
    queued = put_run("interrupted")
    (queued / "slurm.json").write_text(json.dumps({"job_id": "17"}))
    monkeypatch.setattr("ftlab.launch.slurm_queue.queue_states", lambda ids: dict.fromkeys(ids, "PENDING"))
    with refused(UserError, queued, "17"):
        prepare_rerun(queued)


def test_records_that_this_version_cannot_use_are_named() -> None:
    run = put_run("failed")
    change_config(run, "optim/learning", 1)
    with refused(ConfigError, run / FILE_NAME, "optim.learning"):
        prepare_rerun(run)
    (run / FILE_NAME).write_text('{"schema_version": 7}')
    with refused(UserError, run / FILE_NAME, 7):
        prepare_rerun(run)


def test_a_running_sweep_is_not_disturbed() -> None:
    run = put_run("failed")
    rerun = prepare_rerun(run)
    with sweep_lock(run.parent), refused(UserError, run.parent):
        run_again(rerun, Submitted())


def test_a_run_that_its_sweep_has_completed_meanwhile_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    run = put_run("failed")
    rerun, executor = prepare_rerun(run), Submitted()
    completed = rerun.record.model_copy(update={"status": "completed"})
    completed.write(run)
    assert run_again(rerun, executor) == completed
    assert not executor.jobs
    states(capsys.readouterr().out, "already complete")


def test_a_run_that_is_complete_where_it_is_to_be_repeated_is_told() -> None:
    run = put_run("completed")
    with refused(UserError, run, "sweep.name"):
        prepare_rerun(run, ["sweep.dir=outputs/sweep"])
    assert prepare_rerun(run, ["sweep.dir=outputs/sweep", "seed=1"]).sweep == run.parent


def with_status(run: Path, status: str) -> None:
    read_record(run).model_copy(update={"status": status, "failure": None}).write(run)


@pytest.mark.xdist_group("bench")
def test_a_pruned_run_goes_on_from_its_checkpoint_to_the_same_end(bench: Bench) -> None:
    whole, pruned = (bench.config(sweep, "method=lora", *RUN) for sweep in ("rerun-whole", "rerun-pruned"))
    (expected,) = bench.run([whole])
    bench.kill_at(pruned, 5)
    with_status(directory_of(pruned), "pruned")
    (point, *_) = resume_points(directory_of(pruned) / FOLDER)
    record = run_again(prepare_rerun(directory_of(pruned)), LocalExecutor(1))
    assert (record.status, record.resumed_at) == ("completed", [point.step]), record.failure
    assert results(directory_of(pruned), record) == results(directory_of(whole), expected)
    comparison = (directory_of(pruned).parent / "comparison.md").read_text(encoding="utf-8")
    assert "pruned" not in comparison
