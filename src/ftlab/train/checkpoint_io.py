"""Checkpoint I/O that writes atomically and loads no code."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from ftlab.core.atomic import replacing
from ftlab.core.errors import Unfinished, reason


class NotSaved(Unfinished):
    """A checkpoint could not be written; earlier ones are intact."""


class DurableCheckpointIO(CheckpointIO):
    """Checkpoint I/O through a temporary file that is synced and renamed: readers see the old file or the new one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            NotSaved: the disk is full, or the file cannot be written; no partial file is left.
        """
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with replacing(final) as new, new.open("wb") as stream:
                torch.save(checkpoint, stream)
        except (OSError, RuntimeError) as error:  # torch turns a failed write into a RuntimeError
            cause = _os_error(error)
            if cause is None:
                raise
            problem = reason(cause, named=final.parent)
            raise NotSaved(
                f"the checkpoint {final.name} could not be written to {final.parent}: {problem}. Free space, then run "
                "the same command again: it resumes from the last checkpoint."
            ) from error

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load tensors and plain values only, never code, whatever `weights_only` says."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint, if it still exists."""
        Path(path).unlink(missing_ok=True)


def _os_error(error: BaseException | None) -> OSError | None:
    """Return the failed write that caused an error; None if there is another cause."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        error = error.__cause__ or error.__context__
    return None
