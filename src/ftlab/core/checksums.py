"""Checksums of files: stored beside the files of a cache folder, and compared with them once per command.

A check is noted in a folder of notes, with size, times and inode of the files, so that the other jobs of a sweep need
not read them again. A note that is empty, torn or changed is none.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftlab.core.atomic import write_text

_NAME = ".checksums.json"
_COMMAND_STARTED = "FTLAB_COMMAND_STARTED"  # environment variable of a command's jobs: seconds since the epoch
_NOTE_LIFETIME_S = 3600  # of processes outside a command, such as those that a Ray cluster starts


def begin_command() -> None:
    """Have this process, and those that it starts from now on, check each cache folder again, once."""
    os.environ[_COMMAND_STARTED] = repr(time.time())


def noted_sha256(path: Path, notes: Path, *, once_per_command: bool = False) -> str:
    """Return the SHA-256 of a file's content in hex, from its note while size, times and inode are the same.

    Args:
        path: the file.
        notes: folder of the notes.
        once_per_command: whether to read the file again if its note is of an earlier command.
    """
    state = [_state(path)]
    digest = _read_note(_note_path(path, notes), state, _not_before() if once_per_command else 0.0)
    if digest is None:
        digest = sha256_of_file(path)
        _write_note(_note_path(path, notes), state, digest)
    return digest


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files in a folder, at any depth, into a hidden file of it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _NAME)
    digests = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}
    text = json.dumps({"sha256": digests, "check": _digest(digests)}, indent=0)
    write_text(folder / _NAME, text, durably=False)


def is_checked(folder: Path, notes: Path) -> bool:
    """Return whether this command has checked the folder, and no file has changed since; reads none of them."""
    try:
        digests = _read_checksums(folder)
        return _read_note(_note_path(folder, notes), _states(folder, digests), _not_before()) is not None
    except (OSError, ValueError, LookupError, TypeError):
        return False


def damaged_file(folder: Path, notes: Path, *, may_lack_checksums: bool = True) -> str | None:
    """Return the name of the first file in a folder that is not as it was written; None: all are.

    Args:
        folder: the folder.
        notes: folder of the notes.
        may_lack_checksums: a folder without checksums is whole, as an earlier version made it: it gets them now.
    """
    if may_lack_checksums and not (folder / _NAME).exists():
        if os.access(folder, os.W_OK):  # else a shared cache, which each process would hash for nothing
            with suppress(OSError):
                write_checksums(folder)
        return None
    try:
        digests = _read_checksums(folder)
    except (OSError, ValueError, LookupError, TypeError):
        return _NAME
    try:
        states = _states(folder, digests)
        for name, digest in digests.items():
            if sha256_of_file(folder / name) != digest:
                return name
    except OSError as error:
        return Path(error.filename or _NAME).name
    _write_note(_note_path(folder, notes), states, "intact")
    return None


def mark_used(folder: Path) -> None:
    """Set the time of last use of a folder with checksums."""
    with suppress(OSError):
        os.utime(folder / _NAME)


def last_uses(parent: Path) -> list[tuple[float, Path]]:
    """Return time of last use and path of each folder with checksums in a folder."""
    uses = []
    for path in parent.glob(f"*/{_NAME}"):
        with suppress(OSError):  # removed meanwhile
            uses.append((path.stat().st_mtime, path.parent))
    return uses


def _read_checksums(folder: Path) -> Mapping[str, str]:
    content = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    digests: Mapping[str, str] = content["sha256"]
    if content["check"] != _digest(digests):
        raise ValueError(f"{_NAME} was changed")
    return digests


def _states(folder: Path, digests: Mapping[str, str]) -> list[Any]:
    return [[name, digest, *_state(folder / name)] for name, digest in digests.items()]


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _not_before() -> float:
    try:
        return float(os.environ[_COMMAND_STARTED])
    except (KeyError, ValueError):
        return time.time() - _NOTE_LIFETIME_S


def _note_path(path: Path, notes: Path) -> Path:
    return notes / hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()


def _read_note(note: Path, state: Any, not_before: float) -> str | None:
    """Return what is noted of files in this state, if it was noted late enough."""
    try:
        noted_state, value, noted_at, check = json.loads(note.read_text(encoding="utf-8"))
        is_whole = check == _digest([noted_state, value, noted_at]) and isinstance(value, str)
        return value if is_whole and noted_state == _digest(state) and float(noted_at) >= not_before else None
    except (OSError, ValueError, TypeError):
        return None


def _write_note(note: Path, state: Any, value: str) -> None:
    content = [_digest(state), value, time.time()]
    with suppress(OSError):  # without notes a run is slower, but works
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, json.dumps([*content, _digest(content)]), durably=False)
