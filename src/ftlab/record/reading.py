"""Records from disk, and whether the process behind one still runs."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from pydantic import ValidationError

from ftlab.errors import UserError
from ftlab.record.parts import Failure, Process
from ftlab.record.run_record import FILE_NAME, SCHEMA_VERSION, RunRecord

_STALE_SECONDS = 120  # without a sign of life: of a process on another machine no more can be known


def is_alive(process: Process) -> bool:
    """Whether this very process still runs; on another machine, whether it gave a sign of life not long ago."""
    if process.host != socket.gethostname():
        return time.time() - process.heartbeat < _STALE_SECONDS
    try:
        found = psutil.Process(process.pid)
        return abs(found.create_time() - process.started_at) < 1 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _as_it_stands(record: RunRecord) -> RunRecord:
    """Return the record; one that says `running` of a process that is gone is that of an interrupted run."""
    if record.status != "running" or record.process is None or is_alive(record.process):
        return record
    step = record.progress.step if record.progress else None
    failure = Failure(type="Vanished", message="its process is gone, and left no word", step=step)
    return record.model_copy(update={"status": "interrupted", "failure": failure})


def read_record(directory: Path) -> RunRecord:
    """Read the record in a run's folder; a run whose process is gone reads as interrupted.

    Raises:
        UserError: there is none, it is no valid JSON, or it was written by another schema version.
    """
    path = directory / FILE_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {directory} is not the folder of a run.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it or run the job again.") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, this ftlab reads {SCHEMA_VERSION}: use the ftlab that wrote it."
        )
    try:
        return _as_it_stands(RunRecord.model_validate(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is not a valid record: {place}: {first['msg']}.") from None


def find_records(*roots: Path, onerror: Callable[[UserError], None] | None = None) -> list[tuple[Path, RunRecord]]:
    """Return the folder and record of every run under the roots, oldest first, each once.

    Args:
        roots: runs' own folders, sweeps, or any folders of sweeps.
        onerror: is given the error of each record that cannot be read, which is then left out.

    Raises:
        UserError: a record cannot be read and there is no `onerror`.
    """
    folders = {path.resolve(): path.parent for root in roots for path in sorted(root.rglob(FILE_NAME))}
    found = []
    for folder in folders.values():
        try:
            found.append((folder, read_record(folder)))
        except UserError as error:
            if onerror is None:
                raise
            onerror(error)
    return sorted(found, key=lambda pair: (pair[1].started_at, str(pair[0])))
