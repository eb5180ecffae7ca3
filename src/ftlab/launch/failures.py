"""Failure files, one per rank: rank 0 only sees that another rank is gone, not why."""

import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ftlab.core.atomic import write_text
from ftlab.record import Failure, Status

LOGS = "logs"


class RankFailure(BaseModel):
    """Failure of one rank, as stored in its file."""

    model_config = ConfigDict(frozen=True)

    rank: int
    time: float  # seconds since the epoch
    status: Status  # of the whole job, caused by this failure
    failure: Failure


def write_failure(directory: Path, rank: int, status: Status, failure: Failure) -> None:
    """Write a rank's failure to the run's folder; the traceback also goes to the rank's log."""
    path = _failure_path(directory, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    rank_failure = RankFailure(rank=rank, time=time.time(), status=status, failure=failure)
    write_text(path, rank_failure.model_dump_json(indent=1))


def clear_failures(directory: Path) -> None:
    """Delete the failure files of an earlier attempt."""
    for path in _failure_paths(directory):
        path.unlink(missing_ok=True)


def first_failure(directory: Path) -> RankFailure | None:
    """Return the failure of the rank that failed first, which caused the others; None if no rank failed."""
    failures = []
    for path in _failure_paths(directory):
        with suppress(ValidationError):  # half written: the rank was killed meanwhile
            failures.append(RankFailure.model_validate_json(path.read_text(encoding="utf-8")))
    return min(failures, key=lambda failure: failure.time, default=None)


def _failure_path(directory: Path, rank: int) -> Path:
    return directory / LOGS / f"failure-rank{rank}.json"


def _failure_paths(directory: Path) -> list[Path]:
    return sorted((directory / LOGS).glob("failure-rank*.json"))
