"""Checkpoints that are whole, or not there; and the run that goes on from the last whole one."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ftlab.checkpoints import DurableFiles, NotSaved, all_points, is_whole, newest, path_at
from tests.launch.sweeping import Bench, directory_of
from tests.launch.test_resume import RUN, results

STATE = {"state_dict": {"weight": torch.arange(4096.0)}, "note": "plain"}


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        DurableFiles().save_checkpoint(STATE, path_at(folder, step))


def test_what_was_saved_is_whole_and_reads_back(tmp_path: Path) -> None:
    save(tmp_path, 3)
    (point,) = all_points(tmp_path)
    assert (point.step, point.path.name) == (3, "step-00000003.ckpt")
    assert is_whole(point.path)
    loaded = DurableFiles().load_checkpoint(point.path)
    assert torch.equal(loaded["state_dict"]["weight"], STATE["state_dict"]["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003.ckpt"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("saved")
    save(folder, 1)
    return path_at(folder, 1).read_bytes()


@given(st.data())
def test_a_torn_file_is_noticed(saved: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("torn") / "step-00000001.ckpt"
    path.write_bytes(saved[: data.draw(st.integers(0, len(saved) - 1))])
    assert not is_whole(path)


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
    assert not is_whole(path)


def test_the_one_before_a_damaged_one_is_used_and_that_is_said(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    path_at(tmp_path, 20).write_bytes(path_at(tmp_path, 20).read_bytes()[:-100])
    said: list[str] = []
    point = newest(tmp_path, said.append)
    assert point is not None
    assert point.step == 10
    assert said == ["step-00000020.ckpt is damaged and is not used: training goes on from what was saved before it."]
    path_at(tmp_path, 10).write_bytes(b"")
    assert newest(tmp_path, said.append) is None


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
        with pytest.raises(NotSaved, match=r"could not be written to .*: No space left on device\. Make room"):
            save(tmp_path, *range(1, 10))
        points = all_points(tmp_path)
        assert [point.step for point in points] == list(range(len(points), 0, -1))
        assert points
        assert all(is_whole(point.path) for point in points)
        assert len(list(tmp_path.iterdir())) == len(points)  # and nothing half written


def test_a_run_whose_disk_is_full_goes_on_when_there_is_room(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    config = bench.config("full-disk", "method=full", *RUN)
    disk = directory_of(config) / "checkpoints"
    disk.mkdir(parents=True)
    with small_disk(disk):
        (record,) = bench.run([config])
        assert record.status == "interrupted"
        assert "No space left on device. Make room, then give the same command again" in record.failure.message
        assert "No space left on device" in capsys.readouterr().err
    (record,) = bench.run([config])
    assert record.status == "completed"


@pytest.mark.slow
def test_a_run_goes_on_from_the_checkpoint_before_a_torn_one(bench: Bench) -> None:
    """Killed, and the newest checkpoint lost its tail with the machine's power: the result is the same to the bit."""
    whole, torn = (bench.config(name, "method=lora", *RUN) for name in ("intact", "torn"))
    (expected,) = bench.run([whole])
    bench.kill_at(torn, 12)
    last, before, *_ = all_points(directory_of(torn) / "checkpoints")  # it may die before the oldest is removed
    last.path.write_bytes(last.path.read_bytes()[:1000])
    (record,) = bench.run([torn])
    assert record.resumed_at == [before.step]
    assert record.warnings[0].startswith(f"{last.path.name} is damaged and is not used")
    assert results(directory_of(torn), record) == results(directory_of(whole), expected)


def test_a_checkpoint_holds_what_trains_and_nothing_of_the_base(bench: Bench) -> None:
    config = bench.config("content", "method=lora", *RUN)
    record = bench.kill_at(config, 5)
    checkpoint = DurableFiles().load_checkpoint(all_points(directory_of(config) / "checkpoints")[0].path)
    assert set(checkpoint["state_dict"]) == {f"model.{name}" for name in record.trainable}
    (optimizer,) = checkpoint["optimizer_states"]
    assert len(optimizer["state"]) == len(record.trainable)
    assert "loops" not in checkpoint
