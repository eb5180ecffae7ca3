"""Removal of run folders: each is renamed before it is deleted, and symbolic links are not followed."""

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from ftlab.core.errors import Failed, reason
from ftlab.record.folder import BEING_REMOVED, CONFIG
from ftlab.record.run_record import FILE_NAME

REMOVED_BY_DEFAULT = ("failed", "oom", "pruned")  # statuses of runs
RESUMABLE = ("timeout", "interrupted", "paused")
REMOVABLE = (*REMOVED_BY_DEFAULT, *RESUMABLE)


class NotRemoved(Failed):
    """A run's folder could not be removed, or only in part; the message names what is left."""


def remove_run_folder(folder: Path) -> None:
    """Remove the folder of a run and all that is in it.

    A reader sees the whole run or none, also if this process is killed: what it leaves is in `left_overs`.

    Raises:
        NotRemoved: the folder is as it was, or what is left of it is no run any more.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise NotRemoved(f"{folder} is not a folder of its own, so it was left alone: remove it yourself.")
    renamed = folder.with_name(f"{BEING_REMOVED}{uuid.uuid4().hex}")
    try:
        folder.rename(renamed)
    except OSError as error:
        raise NotRemoved(
            f"{folder} was not removed: {reason(error, named=folder.parent)}; make {folder.parent} writable."
        ) from None
    try:
        # a configuration without a record is a job that has not started, so it goes first
        (renamed / CONFIG).unlink(missing_ok=True)
        (renamed / FILE_NAME).unlink(missing_ok=True)
    except OSError as error:
        renamed.rename(folder)
        raise NotRemoved(f"{folder} was not removed: {reason(error, named=renamed)}; make it writable.") from None
    delete_left_over(renamed)


def left_overs(folder: Path) -> list[Path]:
    """Return what removals that were killed have left in a folder of runs."""
    return sorted(path for path in folder.glob(f"{BEING_REMOVED}*") if path.is_dir() and not path.is_symlink())


def delete_left_over(folder: Path) -> None:
    """Delete what is left of a run that is being removed.

    Raises:
        NotRemoved: something in it cannot be deleted.
    """
    try:
        shutil.rmtree(folder)  # removes links, and never follows them
    except OSError as error:
        raise NotRemoved(
            f"{folder}, the rest of a removed run, could not be deleted: {reason(error, named=folder)}; make all in "
            "it writable and give the command again."
        ) from None


def size_on_disk(folder: Path) -> int:
    """Return the bytes of all files in a folder; links count as links."""
    size = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone meanwhile
                size += os.lstat(Path(directory, name)).st_size
    return size
