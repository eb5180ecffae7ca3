"""Atomic writing, looked at after errors, after kills, and by two writers at once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftlab.core import atomic
from ftlab.core.atomic import building, replacing, temporary_folder, write_text
from tests.fixtures.durable_writes import watch_writes
from tests.fixtures.refusals import refused

# Stops in the middle of a block, when it has written something but not all.
HALFWAY = """
import sys, time
from pathlib import Path
from ftlab.core import atomic
with getattr(atomic, sys.argv[1])(Path(sys.argv[2])) as new:
    if sys.argv[1] == "building":
        new.mkdir()
        new /= "file"
    new.write_text("half")
    print("written", flush=True)
    time.sleep(600)
"""


def start_writer(function: str, path: Path) -> subprocess.Popen[str]:
    """Start a process that waits in the middle of writing, and return when it has got there."""
    child = subprocess.Popen([sys.executable, "-c", HALFWAY, function, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "written\n"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    with child:
        pass
    assert child.returncode == -signal.SIGKILL


def make_older(path: Path, seconds: float) -> None:
    for each in (*path.rglob("*"), path):
        os.utime(each, (time.time() - seconds,) * 2)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def old_folder(path: Path) -> Path:
    path.mkdir()
    (path / "file").write_text("old")
    return path


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").write_text("new")
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("deep")


@pytest.mark.parametrize("durably", [True, False])
def test_a_file_is_made_and_replaced_and_nothing_else_stays(durably: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("first\n", "ß \udcff\n"):
        assert write_text(path, text, durably=durably) == path
        assert path.read_bytes() == text.encode(errors="backslashreplace")
    with replacing(path, durably=durably) as new:
        new.write_bytes(b"\0")
    assert path.read_bytes() == b"\0"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_in_the_middle_leaves_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as new:
            new.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_what_cannot_reach_the_disk_does_not_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, folder = tmp_path / "file", old_folder(tmp_path / "folder")
    path.write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with refused(OSError, "the disk is gone"):
        write_text(path, "new")
    with refused(OSError, "the disk is gone"), building(folder, replaces=True) as new:
        fill(new)
    assert path.read_text() == "old"
    assert (folder / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "folder"]


def test_a_folder_without_syncing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError("not on this file system")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    write_text(tmp_path / "file", "new")
    with building(tmp_path / "folder") as new:
        fill(new)
    assert names(tmp_path) == ["file", "folder"]


def test_the_content_reaches_the_disk_then_the_name_then_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch_writes(monkeypatch)
    write_text(tmp_path / "file", "new")
    assert seen == ["file", "file", "folder"], "the second is the name of the file"
    seen.clear()
    with building(tmp_path / "made") as new:
        fill(new)
    assert (sorted(seen[:4]), seen[4:]) == (["file", "file", "folder", "folder"], ["made", "folder"])
    seen.clear()
    write_text(tmp_path / "file", "newer", durably=False)
    with building(tmp_path / "made_too", durably=False) as new:
        fill(new)
    assert seen == ["file", "file", "made_too"], "a heartbeat has a content, or is the one before"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_modes_are_those_of_any_new_file(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        (tmp_path / "plain").write_text("")
        (tmp_path / "plain_folder").mkdir()
        write_text(tmp_path / "file", "")
        (tmp_path / "file").chmod(0o600)
        write_text(tmp_path / "file", "new")
        with building(tmp_path / "folder") as new:
            new.mkdir()
    finally:
        os.umask(before)
    for name, plain in (("file", "plain"), ("folder", "plain_folder")):
        assert (tmp_path / name).stat().st_mode == (tmp_path / plain).stat().st_mode


def test_a_folder_replaces_only_if_it_may(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "folder")
    with pytest.raises(OSError, match="not empty"), building(folder) as new:
        fill(new)
    assert (folder / "file").read_text() == "old"
    with building(folder, replaces=True) as new:
        fill(new)
    assert (folder / "file").read_text() == "new"
    with building(tmp_path / "new", replaces=True) as new:
        fill(new)
    (tmp_path / "empty").mkdir()
    with building(tmp_path / "empty") as new:
        fill(new)
    assert names(tmp_path) == ["empty", "folder", "new"]
    assert names(tmp_path / "empty") == ["deep", "file"]


def test_an_error_in_the_middle_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old_folder(tmp_path / "folder")
    with refused(ValueError, "half"), building(folder, replaces=True) as new:
        fill(new)
        raise ValueError("half")
    assert (folder / "file").read_text() == "old"
    replace = Path.replace

    def fail_once(path: Path, target: Path) -> Path:
        if (path / "deep").exists():  # the new one
            raise OSError("no")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    with pytest.raises(OSError, match="no"), building(folder, replaces=True) as new:
        fill(new)
    assert (folder / "file").read_text() == "old", "it was out of the way already"
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("function", ["replacing", "building"])
def test_a_kill_leaves_what_was_there_and_a_later_call_cleans_up(function: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    target = path if function == "replacing" else tmp_path / "folder"
    child = start_writer(function, target)
    (hidden,) = set(names(tmp_path)) - {"file"}
    make_older(tmp_path / hidden, 2 * 24 * 3600)
    write_text(path, "old")
    assert hidden in names(tmp_path), "its writer lives"
    kill(child)
    assert path.read_text() == "old"
    assert not (tmp_path / "folder").exists()
    assert not [*tmp_path.glob("*.safetensors"), *tmp_path.glob("file*/"), *tmp_path.glob("[!.]*/*")]
    os.utime(tmp_path / hidden)
    write_text(path, "next")
    assert hidden in names(tmp_path), "just made, and perhaps not locked yet"
    make_older(tmp_path / hidden, 3600)
    write_text(path, "heartbeat", durably=False)
    assert hidden in names(tmp_path), "a heartbeat looks for nothing"
    with getattr(atomic, function)(tmp_path / "other") as new:
        new.touch()
    assert names(tmp_path) == ["file", "other"]


@pytest.mark.parametrize("host", ["elsewhere", f"{socket.gethostname()}-2", "a host without locks"])
def test_where_no_lock_tells_a_writer_is_dead_after_a_day_without_a_change(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if host == "a host without locks":

        def refuse(descriptor: int, operation: int) -> None:
            raise OSError("not on this file system")

        monkeypatch.setattr(atomic.fcntl, "flock", refuse)
        host = socket.gethostname()
    for name, age in {"young": 3600, "old": 2 * 24 * 3600, "busy": 2 * 24 * 3600}.items():
        fill(tmp_path / f".partial-{host}-{name}")
        make_older(tmp_path / f".partial-{host}-{name}", age)
    os.utime(tmp_path / f".partial-{host}-busy" / "deep" / "file", (time.time() - 12 * 3600,) * 2)
    write_text(tmp_path / "file", "new")
    assert names(tmp_path) == [f".partial-{host}-busy", f".partial-{host}-young", "file"]


def test_what_cannot_be_removed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f".partial-{socket.gethostname()}-abcd"
    folder.mkdir()
    make_older(folder, 3600)
    remove = shutil.rmtree

    def refuse(path: Path, *, ignore_errors: bool = False) -> None:
        if path == folder:
            raise PermissionError
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(atomic.shutil, "rmtree", refuse)
    with temporary_folder(tmp_path) as temporary:
        assert names(tmp_path) == sorted([folder.name, temporary.name])
    assert names(tmp_path) == [folder.name]


WRITER = """
import json, sys
from pathlib import Path
from ftlab.core.atomic import write_text
for number in range(200):
    write_text(Path(sys.argv[1]), json.dumps([sys.argv[2], number] * 500), durably=number % 2 == 0)
"""


def test_processes_that_write_the_same_file_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    reads = 0
    while any(child.poll() is None for child in children):
        if path.exists():
            assert len(json.loads(path.read_text())) == 1000, "a reader has seen a part"
            reads += 1
    assert [child.returncode for child in children] == [0, 0]
    assert reads
    assert names(tmp_path) == ["file"]


def test_of_two_that_build_the_same_folder_the_first_wins(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with refused(OSError, "not empty"), building(folder) as slow:
        fill(slow)
        with building(folder) as fast:
            fill(fast)
            (fast / "first").touch()
    assert names(tmp_path) == ["folder"]
    assert names(folder) == ["deep", "file", "first"]
