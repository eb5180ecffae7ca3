"""A removed run is a whole run or none, whenever the command is killed, and nothing outside its folder is touched."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlab.comparison.listing import entries
from ftlab.record import FILE_NAME, find_records
from ftlab.record.folder import BEING_REMOVED, CONFIG
from ftlab.record.removal import NotRemoved, delete_left_over, left_overs, remove_run_folder, size_on_disk
from tests.comparison.factory import add_run
from tests.fixtures.refusals import refused


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = add_run(tmp_path / "sweep", "lora", status="failed")
    (folder / CONFIG).write_text("seed: 0\n")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "step-00000001.ckpt").write_bytes(b"x" * 1000)
    return folder


def break_at(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException) -> list[str]:
    """Raise an error in place of the step with this number that changes files; return the names of those before."""
    done: list[str] = []

    def breaking(name: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if len(done) == step:
                done.append("broken")
                raise error
            done.append(name)
            return action(*arguments, **options)

        return act

    for place, name in ((Path, "rename"), (Path, "unlink"), (shutil, "rmtree")):
        monkeypatch.setattr(place, name, breaking(name, getattr(place, name)))
    return done


@pytest.mark.parametrize("step", range(4))
def test_a_kill_leaves_the_whole_run_or_none(step: int, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, before = run.parent, sorted(path.name for path in run.rglob("*"))
    done = break_at(monkeypatch, step, Killed())
    with pytest.raises(Killed):
        remove_run_folder(run)
    monkeypatch.undo()
    assert done == [*["rename", "unlink", "unlink", "rmtree"][:step], "broken"]
    if step == 0:
        assert sorted(path.name for path in run.rglob("*")) == before
        return
    assert not run.exists()
    assert find_records(sweep) == []
    (rest,) = left_overs(sweep)
    if not (rest / FILE_NAME).exists():
        assert not (rest / CONFIG).exists(), "it would count as a job that waits"
        add_run(sweep, "full", name="other")
        ((entry,), _) = entries(sweep)
        assert entry.states == {"completed": 1}
    delete_left_over(rest)
    assert left_overs(sweep) == []


@pytest.mark.parametrize("step", range(3))
def test_what_cannot_be_removed_stays_in_its_place(step: int, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, step, PermissionError(errno.EACCES, "Permission denied", "somewhere"))
    with refused(NotRemoved, run, "Permission denied"):
        remove_run_folder(run)
    assert [folder for folder, _ in find_records(run.parent)] == [run]
    assert left_overs(run.parent) == []


def test_what_is_left_of_a_run_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, 3, OSError(errno.ENOTEMPTY, "Directory not empty"))
    with refused(NotRemoved, run.parent / BEING_REMOVED, "Directory not empty"):
        remove_run_folder(run)
    assert not run.exists()
    assert find_records(run.parent) == []


def test_links_are_removed_and_what_they_lead_to_is_kept(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("mine")
    (run / "folder").symlink_to(outside)
    (run / "checkpoints" / "file").symlink_to(outside / "precious")
    (run / CONFIG).unlink()
    (run / CONFIG).symlink_to(outside / "precious")
    assert size_on_disk(run) < 20_000
    remove_run_folder(run)
    assert not run.exists()
    assert (outside / "precious").read_text() == "mine"
    link = run.parent / "link"
    link.symlink_to(outside)
    with refused(NotRemoved, link):
        remove_run_folder(link)
    (run.parent / f"{BEING_REMOVED}x").symlink_to(outside)
    assert left_overs(run.parent) == []
    assert (outside / "precious").exists()


def test_the_longest_name_can_be_removed(run: Path) -> None:
    longest = run.rename(run.with_name("x" * 255))
    remove_run_folder(longest)
    assert os.listdir(run.parent) == []


def test_size_counts_files_and_not_what_links_lead_to(run: Path, tmp_path: Path) -> None:
    before = size_on_disk(run)
    assert before > 1000
    (tmp_path / "big").write_bytes(b"x" * 10**6)
    (run / "link").symlink_to(tmp_path / "big")
    assert before < size_on_disk(run) < before + 1000
