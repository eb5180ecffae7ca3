"""Atomic writing: a reader finds the old file or folder or the new one, never a part, even after a kill.

What is new is made under a hidden name beside its place, and renamed when it is whole. After an error it is removed;
after a kill it stays, until a later call for the same place removes it. Its lock tells whether its writer lives.
"""

import fcntl
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".partial-"  # of hidden names; then the host and a random text
_LOCKED_AFTER_S = 60  # what is older is locked by its writer, if that lives and can lock
_ABANDONED_S = 24 * 3600  # without a change: the writer is dead, where no lock can tell


@contextmanager
def replacing(path: Path, *, durably: bool = True) -> Iterator[Path]:
    """Yield an empty file for the block to write, which replaces the old file if the block succeeds.

    Several processes may replace the same file: the last one wins.

    Args:
        path: the file, in a folder that exists.
        durably: wait until the new name has reached the disk too, not only the content; without, the old file may be
            there after a power failure.
    """
    if durably:
        _remove_abandoned(path.parent)
    new = _hidden_path(path.parent)
    try:
        with _locked(new, os.O_RDWR | os.O_CREAT | os.O_EXCL):
            yield new
            _sync(new)  # else, after a power failure, the name may be there without the content
            new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    if durably:
        _sync_names(path.parent)


def write_text(path: Path, text: str, *, durably: bool = True, mode: int | None = None) -> Path:
    """Write or replace a UTF-8 file, see `replacing`, with these permissions if any; return its path."""
    with replacing(path, durably=durably) as new:
        if mode is not None:
            new.chmod(mode)
        new.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, `NAME.damaged`, and return that; one of an earlier call is replaced."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    _sync_names(path.parent)
    return aside


@contextmanager
def building(path: Path, *, replaces: bool = False, durably: bool = True) -> Iterator[Path]:
    """Yield the path at which the block makes a folder; it becomes `path` if the block succeeds.

    Args:
        path: the folder, in one that exists.
        replaces: it takes the place of an old folder, which a reader may miss for a moment.
        durably: wait until all files have reached the disk, before and after the folder gets its name.

    Raises:
        OSError: there is such a folder by now, with something in it, and `replaces` is false; it stays as it is.
    """
    with temporary_folder(path.parent) as folder:
        new, old = folder / path.name, folder / f"{path.name}.old"
        yield new
        if durably:
            _sync_all(new)
        if replaces and path.exists():
            path.replace(old)
        try:
            new.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
    if durably:
        _sync_names(path.parent)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new hidden folder, which is removed at the end; those of killed processes are removed first."""
    _remove_abandoned(parent)
    folder = _hidden_path(parent)
    folder.mkdir()
    try:
        with _locked(folder, os.O_RDONLY):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hidden_path(parent: Path) -> Path:
    return parent / f"{_PREFIX}{socket.gethostname()}-{uuid.uuid4().hex[:12]}"


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[None]:
    """Open and lock a file or folder; the lock ends with the block or the process, however that ends."""
    descriptor = os.open(path, flags, 0o666)
    try:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or another process removes it too
            if not _is_abandoned(path):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Return whether the writer of a hidden path is dead. If in doubt, it lives for a day after the last change."""
    if time.time() - path.stat().st_mtime < _LOCKED_AFTER_S:
        return False
    host = path.name.removeprefix(_PREFIX).rpartition("-")[0]
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # network file systems lock the writable
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if host == socket.gethostname():  # network file systems may hide the locks of other hosts
            return True
    except BlockingIOError:
        return False
    except OSError:  # not every file system has locks
        pass
    finally:
        os.close(descriptor)
    last_change = max(part.stat().st_mtime for part in (path, *path.rglob("*")))
    return time.time() - last_change > _ABANDONED_S


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            _sync_names(path)
        elif path.is_file():  # no link that leads nowhere
            _sync(path)


def _sync_names(folder: Path) -> None:
    """Wait until the names in a folder have reached the disk."""
    with suppress(OSError):  # not every file system can do it
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
