"""Temporary files of jobs: libraries leave some at the end of a process, so each job has its own folder for them."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ftlab.core.environment import variables_set

TMPDIR = "TMPDIR"  # environment variable of the folder for temporary files
_COMPILED = "TORCHINDUCTOR_CACHE_DIR"  # of what torch compiles, by default among the temporary files


def shared_caches() -> Mapping[str, str]:
    """Return environment variables by which jobs share caches that would be in their folders for temporary files."""
    return {_COMPILED: os.environ.get(_COMPILED) or os.path.join(tempfile.gettempdir(), f"torchinductor_{os.getuid()}")}


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Give this process a folder for temporary files within the block, and remove it with all in it."""
    configured = tempfile.tempdir
    with (
        tempfile.TemporaryDirectory(prefix="ftlab-job-", ignore_cleanup_errors=True) as folder,
        variables_set({TMPDIR: folder, **shared_caches()}),
    ):
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = configured
