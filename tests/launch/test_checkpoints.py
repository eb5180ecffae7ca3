"""Checkpoints that are whole, or not there; and the run that goes on from the last whole one."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.record.checkpoints import checkpoint_path, is_intact, newest_resume_point, resume_points
from ftlab.train.checkpoint_io import DurableCheckpointIO, NotSaved
from tests.fixtures.durable_writes import watch_writes
from tests.fixtures.refusals import refused
from tests.launch.sweeping import Bench, directory_of

STATE = {"state_dict": {"weight": torch.arange(4096.0)}, "note": "plain"}


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        DurableCheckpointIO().save_checkpoint(STATE, checkpoint_path(folder, step))


def test_what_was_saved_is_whole_and_reads_back(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (point,) = resume_points(tmp_path)
    assert (point.step, point.path.name) == (3, "step-00000003.ckpt")
    assert is_intact(point.path)
    loaded = DurableCheckpointIO().load_checkpoint(point.path)
    assert torch.equal(loaded["state_dict"]["weight"], STATE["state_dict"]["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.ckpt"]


def test_a_checkpoint_reaches_the_disk_before_its_name_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses power after the renaming has the whole file."""
    seen = watch_writes(monkeypatch)
    save(tmp_path, 3)
    assert seen == ["file", "step-00000003.ckpt", "folder"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("saved")
    save(folder, 1)
    return checkpoint_path(folder, 1).read_bytes()


@settings(deadline=None)
@given(st.data())
def test_a_torn_file_is_noticed(saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("torn") / "step-00000001.ckpt"
    path.write_bytes(saved[: data.draw(st.integers(0, len(saved) - 1))])
    assert not is_intact(path)


@settings(deadline=None)
@given(st.data())
def test_a_changed_tensor_is_noticed(
    saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    tensor = STATE["state_dict"]["weight"].numpy().tobytes()
    place = saved.index(tensor) + data.draw(st.integers(0, len(tensor) - 1))
    damaged = bytearray(saved)
    damaged[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("changed") / "step-00000001.ckpt"
    path.write_bytes(bytes(damaged))
    assert not is_intact(path)


def test_the_one_before_a_damaged_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    checkpoint_path(tmp_path, 20).write_bytes(checkpoint_path(tmp_path, 20).read_bytes()[:-100])
    said: list[str] = []
    point = newest_resume_point(tmp_path, said.append)
    assert point is not None
    assert point.step == 10
    (line,) = said
    assert "step-00000020.ckpt" in line
    checkpoint_path(tmp_path, 10).write_bytes(b"")
    assert newest_resume_point(tmp_path, said.append) is None


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Lay a file system of 64 kB over a folder."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_harms_no_earlier_checkpoint(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        with refused(NotSaved, ".ckpt", tmp_path, os.strerror(errno.ENOSPC)):
            save(tmp_path, *range(1, 10))
        points = resume_points(tmp_path)
        assert [point.step for point in points] == list(range(len(points), 0, -1))
        assert points
        assert all(is_intact(point.path) for point in points)
        assert len(list(tmp_path.iterdir())) == len(points)  # and nothing half written


@pytest.mark.xdist_group("bench")
def test_a_run_whose_disk_is_full_goes_on_when_there_is_room(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    config = bench.config("full-disk", "method=full", "sweep.checkpoint_s=0")
    disk = directory_of(config) / "checkpoints"
    disk.mkdir(parents=True)
    with small_disk(disk):
        (record,) = bench.run([config])
        assert record.status == "interrupted"
        assert record.failure.type == "NotSaved"
        for told in (record.failure.message, capsys.readouterr().err):
            assert "step-00000001.ckpt" in told
            assert os.strerror(errno.ENOSPC) in told
    (record,) = bench.run([config])
    assert record.status == "completed"
