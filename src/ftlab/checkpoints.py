"""Files from which training goes on: written whole or not at all, and checked before they are trusted."""

import contextlib
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from ftlab.errors import Unfinished

FOLDER = "checkpoints"
KEPT = 2  # the newest, and the one before it, should the newest be damaged
_NAME = re.compile(r"step-(\d+)\.ckpt")


class NotSaved(Unfinished):
    """A checkpoint could not be written; those before it are as they were."""


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint that training can go on from.

    Attributes:
        path: the file.
        step: optimizer steps done.
    """

    path: Path
    step: int


def path_at(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after `step` optimizer steps, without the `=` that Hydra cannot read."""
    return folder / f"step-{step:08d}.ckpt"


def all_points(folder: Path) -> list[ResumePoint]:
    """Return the checkpoints that lie there, the newest first, damaged ones too."""
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("step-*.ckpt")]
    points = [ResumePoint(path, int(match[1])) for path, match in named if match]
    return sorted(points, key=lambda point: point.step, reverse=True)


def newest(folder: Path, warn: Callable[[str], None]) -> ResumePoint | None:
    """Return the newest checkpoint that is undamaged; `warn` is told of each that is not, and is passed over."""
    for point in all_points(folder):
        if is_whole(point.path):
            return point
        warn(f"{point.path.name} is damaged and is not used: training goes on from what was saved before it.")
    return None


def is_whole(path: Path) -> bool:
    """Whether every byte is as it was written.

    PyTorch's format is a zip file: its index stands at the end, so a torn file has none, and each entry has a CRC-32.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False


class DurableFiles(CheckpointIO):
    """Writes to a temporary file, has it reach the disk, and renames it: a reader sees the old file or the new one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            NotSaved: the disk is full, or the file cannot be written; nothing of it is left.
        """
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = final.with_name(f".{final.name}.{os.getpid()}")
        try:
            with partial.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(final)
            _sync_folder(final.parent)
        except (OSError, RuntimeError) as error:  # torch turns a failed write into a RuntimeError
            reason = _os_error(error)
            if reason is None:
                raise
            raise NotSaved(
                f"the checkpoint {final.name} could not be written to {final.parent}: {os.strerror(reason)}. Make "
                "room, then give the same command again: it goes on from the last checkpoint."
            ) from error
        finally:
            partial.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read tensors and plain values, never code, whoever asks."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a file that may be gone already."""
        Path(path).unlink(missing_ok=True)


def _os_error(error: BaseException | None) -> int | None:
    """Return the errno of the failed write behind an error; None: it was something else."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__cause__ or error.__context__
    return None


def _sync_folder(folder: Path) -> None:
    """Have the new name reach the disk too; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
