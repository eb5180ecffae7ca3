"""Removal of the folders of runs that have never started, once a command no longer asks for them."""

import re
from collections.abc import Sequence
from contextlib import suppress

from ftlab.launch.executor import Job
from ftlab.record.folder import CONFIG, SECRETS

_RUN_NAME = re.compile(r".+-s\w+-[0-9a-f]{8}")  # of `ftlab.sweeps.jobs.run_name`


def remove_waiting(jobs: Sequence[Job]) -> list[str]:
    """Remove the folders of their sweep that hold a configuration alone and are none of theirs; return their names.

    Such a run was waiting when an earlier command was stopped. A command that asks for it again writes the same
    configuration; until then it would be shown as waiting for ever. A folder of another name is a user's, such as the
    `conf` with a `config.yaml` of a project in which the sweep is.
    """
    names = {job.directory.name for job in jobs}
    folders = {path.parent for sweep in {job.directory.parent for job in jobs} for path in sweep.glob(f"*/{CONFIG}")}
    removed = []
    for folder in sorted(folders):
        if folder.name in names or folder.is_symlink() or _RUN_NAME.fullmatch(folder.name) is None:
            continue
        with suppress(OSError):  # it stays, as waiting
            contents = list(folder.iterdir())
            if all(path.name in (CONFIG, SECRETS) and path.is_file() for path in contents):
                for path in contents:
                    path.unlink()
                folder.rmdir()
                removed.append(folder.name)
    return removed
