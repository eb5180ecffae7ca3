"""Checkpoint files in a run's folder: names, order, integrity. Imports no torch."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = "checkpoints"
MAX_CHECKPOINTS = 2  # the newest, and one before it in case the newest is damaged
_NAME = re.compile(r"step-(\d+)\.ckpt")


@dataclass(frozen=True)
class ResumePoint:
    """Checkpoint from which training can resume.

    Attributes:
        path: the file.
        step: completed optimizer steps.
    """

    path: Path
    step: int


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after `step` optimizer steps; without `=`, which Hydra cannot read."""
    return folder / f"step-{step:08d}.ckpt"


def resume_points(folder: Path) -> list[ResumePoint]:
    """Return the checkpoints in the folder, newest first, damaged ones included."""
    matches = [(path, _NAME.fullmatch(path.name)) for path in folder.glob("step-*.ckpt")]
    points = [ResumePoint(path, int(match[1])) for path, match in matches if match]
    return sorted(points, key=lambda point: point.step, reverse=True)


def newest_resume_point(folder: Path, warn: Callable[[str], None]) -> ResumePoint | None:
    """Return the newest intact checkpoint; `warn` gets a message for each damaged one that is skipped."""
    for point in resume_points(folder):
        if is_intact(point.path):
            return point
        warn(f"{point.path.name} is damaged and is not used: training resumes from the checkpoint before it, if any.")
    return None


def is_intact(path: Path) -> bool:
    """Return whether the file is complete and unchanged.

    PyTorch's format is a zip file: its index is at the end, so a truncated file has none, and each entry has a CRC-32.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError, OSError):
        return False
