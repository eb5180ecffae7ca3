"""`ftlab sync` short of the upload itself, which test_arriving.py sees to."""

from pathlib import Path

import pytest

from ftlab.cli.sync import sync_runs
from ftlab.core.errors import Failed, UserError
from ftlab.record import FILE_NAME
from ftlab.trackers import wandb_sync
from tests.comparison import factory
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of a sweep, one of them in two attempts, and their comparison."""
    lora, full = (factory.add_run(tmp_path, name, settings={"tracker.project": "mine"}) for name in ("lora", "full"))
    for owner, names in ((lora, ("20260101_1-a", "20260102_1-a")), (full, ("20260103_1-b",)), (tmp_path, ("9-c",))):
        for name in names:
            attempt = owner / "logs" / "wandb" / f"offline-run-{name}"
            attempt.mkdir(parents=True)
            (attempt / f"run-{name[-1]}.wandb").write_bytes(b"x" * 100)
    return tmp_path


def test_offline_runs_are_found_with_where_they_go(folder: Path) -> None:
    found = wandb_sync.find_offline_runs(folder)
    assert [run.id for run in found] == ["a", "a", "b", "c"]
    assert {run.project for run in found} == {"mine"}
    assert found[3].folder == folder
    assert not any(run.uploaded or run.running for run in found)
    assert found[0].size == 100


def test_what_was_not_uploaded_is_found_run_by_run(folder: Path) -> None:
    lora, full = sorted(run for run in folder.iterdir() if (run / FILE_NAME).exists())
    assert wandb_sync.has_pending_uploads(lora)
    first, second = (run.file for run in wandb_sync.find_offline_runs(lora))
    first.with_name(f"{first.name}.synced").touch()
    assert wandb_sync.has_pending_uploads(lora), "one attempt of two"
    second.with_name(f"{second.name}.synced").touch()
    assert not wandb_sync.has_pending_uploads(lora)
    assert wandb_sync.has_pending_uploads(full)


def test_a_dry_run_says_what_would_go_where(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    mark = wandb_sync.find_offline_runs(folder)[0].file
    mark.with_name(mark.name + ".synced").touch()
    sync_runs(folder, None, None, again=False, dry_run=True)
    said = capsys.readouterr().out
    states(said, "4 offline runs", folder, "1 uploaded", "https://api.wandb.ai", "project mine: 3")
    sync_runs(folder, "team", "other", again=True, dry_run=True)
    states(capsys.readouterr().out, "team", "project other: 4")


def test_a_run_that_goes_on_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = factory.add_run(tmp_path, "lora", status="running")
    attempt = owner / "logs" / "wandb" / "offline-run-1-a"
    attempt.mkdir(parents=True)
    (attempt / "run-a.wandb").touch()
    monkeypatch.setattr(wandb_sync, "upload_runs", None)  # nothing is left for it
    sync_runs(tmp_path, None, None, again=False, dry_run=False)
    states(capsys.readouterr().out, "1 still")


def test_without_an_account_or_a_folder_it_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlab.trackers.wandb.has_api_key", lambda: False)
    with refused(UserError, "wandb login"):
        sync_runs(folder, None, None, again=False, dry_run=False)
    with refused(UserError, folder / FILE_NAME):
        sync_runs(folder / FILE_NAME, None, None, again=False, dry_run=False)


def test_what_was_not_taken_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ftlab.trackers.wandb.has_api_key", lambda: True)
    monkeypatch.setattr(wandb_sync, "upload_runs", lambda runs, *_: {runs[0]: "https://place/runs/a"})
    with refused(Failed, "3 of 4"):
        sync_runs(folder, None, None, again=False, dry_run=False)
    said = capsys.readouterr().out
    assert said.count("FAILED") == 3
    states(said, "https://place/runs/a")
