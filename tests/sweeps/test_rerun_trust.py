"""A rerun of a stranger's folder runs no code that the folder names, and writes to no other place."""

from pathlib import Path

import pytest

from ftlab.core.errors import ConfigError, UserError
from ftlab.launch.local import LocalExecutor
from ftlab.sweeps.jobs import run_sweep
from ftlab.sweeps.rerun import prepare_rerun
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import users_kinds
from tests.launch.sweeping import Bench, bench
from tests.sweeps.recorded_runs import change_config, put_run, started

__all__ = ["bench"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("key", ["method/_target_", "dataset/source/_target_", "robustness/forgetting/source/_target_"])
@pytest.mark.parametrize("status", ["failed", "completed"])
def test_code_that_a_folder_names_needs_trust(key: str, status: str) -> None:
    run = put_run(status)
    change_config(run, key, "mine.run")
    for overrides in ([], ["seed=1"]):
        with refused(UserError, f"{key.replace('/', '.')}=mine.run", run, "--trust"):
            prepare_rerun(run, overrides)
    assert prepare_rerun(run, ["sweep.name=new"], trust=True).import_from_cwd


def test_what_is_typed_needs_no_trust_and_a_strangers_folder_is_not_searched_for_modules() -> None:
    run = put_run("failed")
    for overrides, import_from_cwd in (([], False), (["seed=1"], False), (["method._target_=mine.Mine"], True)):
        job = started(run, *overrides)
        assert job is not None
        assert job.import_from_cwd is import_from_cwd
    job = started(run, trust=True)
    assert job is not None
    assert job.import_from_cwd


def test_a_kind_that_a_folder_names_is_imported_with_trust_alone(tmp_path: Path) -> None:
    run = put_run("completed")
    with users_kinds(tmp_path) as write_kind:
        kind = write_kind("mine_r.py")
        change_config(run, "kinds", [str(kind)])
        change_config(run, "dataset/task", "mine_r")
        with refused(UserError, kind, "--trust", "--kinds"):
            prepare_rerun(run)
        assert prepare_rerun(run, trust=True).config.kinds == [str(kind)]
    (tmp_path / "moved").mkdir()
    moved = kind.rename(tmp_path / "moved" / kind.name)
    with users_kinds(tmp_path):
        with refused(ConfigError, kind, "--kinds"):
            prepare_rerun(run, trust=True)
        rerun = prepare_rerun(run, kinds=[str(moved)])
        assert rerun.config.kinds == [str(moved)]
        assert rerun.import_from_cwd


@pytest.mark.parametrize(
    "name", ["config.yaml", "metrics.csv", "logs", "logs/job.log", "checkpoints/x", "../logs", "../mlflow.db"]
)  # the last two: of trackers
def test_a_link_out_of_a_strangers_folder_needs_trust(name: str, tmp_path: Path) -> None:
    run = put_run("failed")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(tmp_path / "precious")
    with refused(UserError, Path(name).name, "precious", "--trust"):
        prepare_rerun(run)
    assert prepare_rerun(run, trust=True).in_place
    assert prepare_rerun(run, ["sweep.name=new"]).sweep == Path("outputs/new"), "nothing is written there"
    (run / name).unlink()
    (run / "target").touch()
    (run / name).symlink_to((run / "target").resolve())
    assert prepare_rerun(run).in_place


def test_the_link_that_wandb_leaves_in_each_run_needs_no_trust(tmp_path: Path) -> None:
    run = put_run("interrupted")
    for folder in (run, run.parent):
        logs = folder / "logs" / "wandb" / "offline-run-20261201_091633-dae05b2c" / "logs"
        logs.mkdir(parents=True)
        (logs / "debug-core.log").symlink_to(tmp_path / "cache" / "core-debug-20261201_091633.log")
    assert prepare_rerun(run).in_place


@pytest.mark.xdist_group("bench")
def test_a_job_without_own_code_does_not_search_the_working_directory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.folder)
    (bench.folder / "own.py").write_text("from ftlab.methods.partial import Full\nclass Own(Full): pass\n")

    for sweep, import_from_cwd, status in (("strange", False, "failed"), ("own", True, "completed")):
        config = bench.config(sweep, "method=full", "method._target_=own.Own")
        (record,) = run_sweep([config], bench.folder / sweep, LocalExecutor(1), import_from_cwd=import_from_cwd)
        assert record.status == status, record.failure
        assert import_from_cwd or "'own'" in record.failure.message
