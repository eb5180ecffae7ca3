"""Reader of run records, which also checks whether a running record's process is alive."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from ftlab.core.atomic import set_aside
from ftlab.core.errors import UserError, reason
from ftlab.record.folder import BEING_REMOVED
from ftlab.record.parts import Failure, Process
from ftlab.record.run_record import FILE_NAME, SCHEMA_VERSION, RunRecord

_STALE_SECONDS = 120  # without a heartbeat; a process on another machine cannot be checked in any other way


class TornFile(UserError):
    """A JSON file of a run is empty, cut off or no JSON at all, as after a power failure."""


def is_alive(process: Process) -> bool:
    """Return whether this process still runs; for another machine, whether its heartbeat is recent."""
    if process.host != socket.gethostname():
        return time.time() - process.heartbeat < _STALE_SECONDS
    try:
        running = psutil.Process(process.pid)
        return abs(running.create_time() - process.started_at) < 1 and running.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _interrupted_if_process_is_gone(record: RunRecord) -> RunRecord:
    """Return the record, as `interrupted` if its status is `running` but its process no longer exists."""
    if record.status != "running" or record.process is None or is_alive(record.process):
        return record
    step = record.progress.step if record.progress else None
    failure = Failure(type="Vanished", message="its process ended without writing why", step=step)
    return record.model_copy(update={"status": "interrupted", "failure": failure})


def read_record(directory: Path) -> RunRecord:
    """Read the record in a run's folder; a running one whose process is gone is returned as interrupted.

    Raises:
        TornFile: it is not valid JSON.
        UserError: there is no record, it is not valid, or it has another schema version.
    """
    path = directory / FILE_NAME
    try:
        raw = read_json(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {directory} is not the folder of a run.") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, this ftlab reads {SCHEMA_VERSION}: use the ftlab that wrote it."
        )
    try:
        return _interrupted_if_process_is_gone(RunRecord.model_validate(raw))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is not a valid record: {field}: {first['msg']}.") from None


def set_aside_torn_record(directory: Path) -> str | None:
    """Rename the record in a run's folder if it is torn, and return a sentence on it; else None."""
    path = directory / FILE_NAME
    try:
        read_json(path)
    except TornFile as error:
        aside = set_aside(path)
        return f"its record was torn, and is now {aside.name}: it is run again ({reason(error)})"
    except (FileNotFoundError, UserError):
        pass
    return None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file of a run, which anybody may have written.

    Raises:
        FileNotFoundError: there is nothing of this name.
        TornFile: it is not valid JSON.
        UserError: it cannot be read.
    """
    require_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error, named=path)}): make it readable.") from None
    except (ValueError, RecursionError) as error:  # also of numbers and nesting without end
        raise TornFile(f"{path} is not valid JSON ({reason(error)}): restore it or run the job again.") from None


def require_file(path: Path) -> None:
    """Check that a file of a run is none of another kind: opening a pipe would wait for a writer.

    Raises:
        UserError: it exists and is no file.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file: restore it or run the job again.")


def run_folder(path: Path) -> Path:
    """Return the folder if it is that of a run.

    Raises:
        UserError: it is a file, or the folder of a sweep; names the folder to give.
    """
    if path.is_file():
        raise UserError(f"{path} is a file: give the folder of a run, which may be {path.parent}.")
    if not (path / FILE_NAME).exists():
        runs = sorted(record.parent for record in path.glob(f"*/{FILE_NAME}") if not _is_being_removed(record))
        if runs:
            raise UserError(f"{path} is the folder of a sweep: give one of its runs, such as {runs[0]}.")
    return path


def find_records(*roots: Path, onerror: Callable[[UserError], None] | None = None) -> list[tuple[Path, RunRecord]]:
    """Return folder and record of every run under the roots, oldest first, without duplicates.

    Args:
        roots: folders of runs or sweeps, or folders that contain some.
        onerror: called with the error of each record that cannot be read, which is then left out.

    Raises:
        UserError: a record cannot be read and there is no `onerror`.
    """
    paths = [path for root in roots for path in sorted(root.rglob(FILE_NAME)) if not _is_being_removed(path)]
    folders = {path.resolve(): path.parent for path in paths}
    records = []
    for folder in folders.values():
        try:
            records.append((folder, read_record(folder)))
        except UserError as error:
            if onerror is None:
                raise
            onerror(error)
    return sorted(records, key=lambda pair: (pair[1].started_at, str(pair[0])))


def _is_being_removed(path: Path) -> bool:
    return any(part.startswith(BEING_REMOVED) for part in path.parts)
