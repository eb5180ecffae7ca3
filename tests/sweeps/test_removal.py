"""Runs without a result are removed on demand, those with one or at work never, and comparisons follow."""

import json
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.comparison import compare
from ftlab.comparison.render.files import COMPARISON_FILES
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, find_records
from ftlab.record.folder import BEING_REMOVED
from ftlab.record.removal import REMOVABLE
from ftlab.sweeps import removal
from ftlab.sweeps.interrupts import Interrupted
from ftlab.sweeps.jobs import LOCK, sweep_lock
from ftlab.sweeps.removal import RemovalPlan, parse_statuses, plan_removal, remove_runs
from ftlab.sweeps.report import report_comparison
from tests.comparison.factory import add_run
from tests.fixtures.refusals import refused


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep with a run of each status, and its comparison."""
    sweep = tmp_path / "outputs" / "sweep"
    for status in ("completed", "running", *REMOVABLE):
        add_run(sweep, "lora", status=status, name=status)
    write_comparison(sweep)
    return sweep


def write_comparison(folder: Path) -> None:
    report_comparison(compare([folder]), folder, Console(quiet=True))


def names(plan: RemovalPlan) -> list[str]:
    return sorted(run.folder.name for run in plan.runs)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path, _ in find_records(folder))


def in_comparison(folder: Path) -> set[str]:
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    return {status for status in ("completed", *REMOVABLE) if status in text}


def test_what_failed_is_removed_by_default_and_the_comparison_follows(sweep: Path) -> None:
    assert "oom" in in_comparison(sweep)
    plan = plan_removal([sweep])
    assert names(plan) == ["failed", "oom", "pruned"]
    assert plan.left_alone == ()
    assert left(sweep) == sorted(["completed", "running", *REMOVABLE]), "a plan changes nothing"
    done = remove_runs(plan)
    assert (len(done.removed), done.problems) == (3, [])
    assert left(sweep) == ["completed", "interrupted", "paused", "running", "timeout"]
    assert not {"oom", "pruned", "failed"} & in_comparison(sweep)
    assert not list(sweep.glob(f"{BEING_REMOVED}*"))


@pytest.mark.parametrize("status", REMOVABLE)
def test_a_status_that_is_named_is_removed_alone(status: str, sweep: Path) -> None:
    assert names(plan_removal([sweep.parent], parse_statuses(status))) == [status]


@pytest.mark.parametrize(
    ("text", "culprits"),
    [("completed", ["completed"]), ("failed,running", ["running"]), ("faild", ["faild", "mean failed?"]), ("", [""])],
)
def test_other_statuses_are_refused(text: str, culprits: list[str]) -> None:
    with refused(UserError, "--status", *culprits):
        parse_statuses(text)


@pytest.mark.parametrize("status", ["completed", "running", "interrupted", "paused", "timeout"])
def test_a_run_that_is_given_itself_must_be_one_to_remove(status: str, sweep: Path) -> None:
    with refused(UserError, sweep / status, status):
        plan_removal([sweep / "failed", sweep / status])
    assert names(plan_removal([sweep / "failed"])) == ["failed"]


def test_sweeps_of_a_folder_and_the_same_run_twice(sweep: Path) -> None:
    other = add_run(sweep.parent / "other", "full", status="oom")
    plan = plan_removal([sweep.parent, sweep, other])
    assert sorted(run.folder for run in plan.runs) == sorted([*(sweep / s for s in ("failed", "oom", "pruned")), other])
    remove_runs(plan)
    assert not other.parent.exists(), "nothing is left in it"


def test_the_comparison_of_no_runs_is_removed_and_other_files_are_kept(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    add_run(sweep, "lora", status="failed")
    add_run(sweep, "lora", status="completed", changes={"role": "trial"}, name="trial-lora")
    write_comparison(sweep)
    (sweep / "notes.txt").write_text("mine")
    assert all((sweep / name).exists() for name in COMPARISON_FILES)
    remove_runs(plan_removal([sweep]))
    assert sorted(path.name for path in sweep.iterdir()) == [LOCK, "notes.txt", "trial-lora"]


def test_no_comparison_is_made_where_there_was_none(tmp_path: Path) -> None:
    add_run(tmp_path / "sweep", "lora", status="failed")
    add_run(tmp_path / "sweep", "full")
    remove_runs(plan_removal([tmp_path / "sweep"]))
    assert not any((tmp_path / "sweep" / name).exists() for name in COMPARISON_FILES)


def test_a_comparison_of_several_sweeps_follows_too(sweep: Path) -> None:
    write_comparison(sweep.parent)
    remove_runs(plan_removal([sweep.parent]))
    assert "oom" not in in_comparison(sweep.parent)


def test_a_running_sweep_is_refused_and_others_are_not(sweep: Path) -> None:
    other = add_run(sweep.parent / "other", "full", status="failed")
    with sweep_lock(sweep):
        for folder in (sweep, sweep / "failed"):
            with refused(UserError, sweep):
                plan_removal([folder])
        plan = plan_removal([sweep.parent])
        assert [run.folder for run in plan.runs] == [other]
        assert len(plan.left_alone) == 3
        assert all(str(sweep) in sentence for sentence in plan.left_alone)
    plan = plan_removal([sweep.parent])
    with sweep_lock(sweep):  # it started after the list was made
        done = remove_runs(plan)
    assert [run.folder for run in done.removed] == [other]
    (problem,) = done.problems
    assert str(sweep) in problem
    assert (sweep / "failed").exists()


def test_a_run_that_goes_on_after_the_list_was_made_is_kept(sweep: Path) -> None:
    plan = plan_removal([sweep])
    add_run(sweep, "lora", status="running", name="failed")
    done = remove_runs(plan)
    assert sorted(run.folder.name for run in done.removed) == ["oom", "pruned"]
    assert "running" in done.problems[0]
    assert (sweep / "failed" / FILE_NAME).exists()


def test_a_run_in_the_queue_of_a_cluster_is_kept(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep / "failed" / "slurm.json").write_text(json.dumps({"job_id": "17"}))
    monkeypatch.setattr("ftlab.launch.slurm_queue.queue_states", lambda ids: dict.fromkeys(ids, "PENDING"))
    plan = plan_removal([sweep])
    assert names(plan) == ["oom", "pruned"]
    assert "scancel 17" in plan.left_alone[0]
    monkeypatch.setattr("ftlab.launch.slurm_queue.queue_states", lambda _: {})
    assert names(plan_removal([sweep])) == ["failed", "oom", "pruned"]


def test_an_unreadable_record_is_left_alone_and_named(sweep: Path) -> None:
    broken = sweep / "failed" / FILE_NAME
    for content in ("{", "[" * 100_000, "1" * 10_000, '{"schema_version": 7}'):
        broken.write_text(content)
        plan = plan_removal([sweep])
        assert names(plan) == ["oom", "pruned"]
        assert str(broken) in plan.left_alone[0]
        with refused(UserError, broken):
            plan_removal([sweep / "failed"])
    broken.unlink()
    os.mkfifo(broken)
    assert str(broken) in plan_removal([sweep]).left_alone[0]
    assert remove_runs(plan_removal([sweep])).problems == []
    assert broken.exists()


def test_a_folder_with_other_runs_in_it_is_kept(sweep: Path) -> None:
    inner = add_run(sweep / "failed" / "inner", "full")
    plan = plan_removal([sweep])
    assert names(plan) == ["oom", "pruned"]
    assert str(inner) in plan.left_alone[0]
    with refused(UserError, sweep / "failed", inner):
        plan_removal([sweep / "failed"])


def test_the_working_directory_and_what_contains_it_are_kept(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sweep / "failed" / "logs").mkdir()
    monkeypatch.chdir(sweep / "failed" / "logs")
    with refused(UserError, sweep / "failed"):
        plan_removal([Path("..")])
    assert names(plan_removal([sweep])) == ["oom", "pruned"]


def test_a_relative_path_is_that_of_its_sweep(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep)
    remove_runs(plan_removal([Path("failed")]))
    remove_runs(plan_removal([Path(".")]))
    assert left(sweep) == ["completed", "interrupted", "paused", "running", "timeout"]


def test_links_to_runs_are_refused_or_left_alone_and_links_to_sweeps_are_not(sweep: Path) -> None:
    elsewhere = add_run(sweep.parent.parent / "elsewhere", "full", status="failed")
    link = sweep / "link"
    link.symlink_to(elsewhere)
    with refused(UserError, link, elsewhere):
        plan_removal([link])
    plan = plan_removal([sweep])
    assert names(plan) == ["failed", "oom", "pruned"]
    assert str(link) in plan.left_alone[0]
    remove_runs(plan)
    assert link.is_symlink()
    assert (elsewhere / FILE_NAME).exists()
    latest = sweep.parent / "latest"
    latest.symlink_to(elsewhere.parent)
    remove_runs(plan_removal([latest]))
    assert not elsewhere.exists()


@pytest.mark.parametrize("folder", ["none", "sweep/failed/record.json", "empty"])
def test_no_runs_are_told(folder: str, sweep: Path) -> None:
    (sweep.parent / "empty").mkdir()
    with refused(UserError, sweep.parent / folder):
        plan_removal([sweep.parent / folder])


def test_an_error_with_one_run_keeps_no_other(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "failed":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    done = remove_runs(plan_removal([sweep]))
    assert sorted(run.folder.name for run in done.removed) == ["oom", "pruned"]
    (problem,) = done.problems
    assert str(sweep / "failed") in problem
    assert "Permission denied" in problem
    assert (sweep / "failed" / FILE_NAME).exists()


def test_where_nothing_is_removed_the_comparison_stays_as_it_is(sweep: Path) -> None:
    remove_runs(plan_removal([sweep]))
    for folder in (sweep, sweep.parent):  # a comparison with another reference, or of other folders
        (folder / "comparison.md").write_text("mine")
        assert remove_runs(plan_removal([folder])).removed == []
        assert (folder / "comparison.md").read_text() == "mine"


def test_what_a_killed_removal_left_is_deleted_by_the_next(sweep: Path) -> None:
    remove_runs(plan_removal([sweep]))
    rest = (sweep / "interrupted").rename(sweep / f"{BEING_REMOVED}1")
    assert "interrupted" not in left(sweep)
    plan = plan_removal([sweep])
    assert plan.runs == ()
    assert remove_runs(plan).problems == []
    assert not rest.exists()


def test_an_interrupt_leaves_a_comparison_of_what_is_left(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = removal.remove_run_folder

    def interrupted(folder: Path) -> None:
        remove(folder)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(removal, "remove_run_folder", interrupted)
    with pytest.raises(Interrupted):
        remove_runs(plan_removal([sweep]))
    assert left(sweep) == sorted({"completed", "running", *REMOVABLE} - {"failed"})
    assert "failed" not in in_comparison(sweep)
    assert "oom" in in_comparison(sweep)


def test_the_reason_is_one_line_that_controls_no_terminal(tmp_path: Path) -> None:
    add_run(
        tmp_path, "lora", status="failed", changes={"failure": {"type": "E", "message": "a\x1b[2J\nb\u202ec \x9b31m"}}
    )
    (run,) = plan_removal([tmp_path]).runs
    assert run.reason.isprintable()
    assert run.reason.startswith("E: a")
