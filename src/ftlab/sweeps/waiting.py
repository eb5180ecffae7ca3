"""Removal of the folders of runs that have never started, once a command no longer asks for them."""

from collections.abc import Sequence
from contextlib import suppress

from ftlab.launch.executor import Job
from ftlab.record.folder import CONFIG, SECRETS


def remove_waiting(jobs: Sequence[Job]) -> list[str]:
    """Remove the folders of their sweep that hold a configuration alone and are none of theirs; return their names.

    Such a run was waiting when an earlier command was stopped. A command that asks for it again writes the same
    configuration; until then it would be shown as waiting for ever.
    """
    names = {job.directory.name for job in jobs}
    folders = {path.parent for sweep in {job.directory.parent for job in jobs} for path in sweep.glob(f"*/{CONFIG}")}
    removed = []
    for folder in sorted(folder for folder in folders if folder.name not in names and not folder.is_symlink()):
        with suppress(OSError):  # it stays, as waiting
            contents = list(folder.iterdir())
            if all(path.name in (CONFIG, SECRETS) and path.is_file() for path in contents):
                for path in contents:
                    path.unlink()
                folder.rmdir()
                removed.append(folder.name)
    return removed
