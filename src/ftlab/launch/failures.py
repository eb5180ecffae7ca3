"""Why a rank failed, in a file of its own: rank 0 only hears that a peer is gone."""

import time
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ftlab.record import Failure, Status

LOGS = "logs"


class RankFailure(BaseModel):
    """What a rank leaves of its end."""

    model_config = ConfigDict(frozen=True)

    rank: int
    time: float  # seconds since the epoch
    status: Status  # of the job, because of it
    failure: Failure


def write_failure(directory: Path, rank: int, status: Status, failure: Failure) -> None:
    """Leave a rank's failure in the run's folder; the traceback also goes to the rank's log."""
    path = _path(directory, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    left = RankFailure(rank=rank, time=time.time(), status=status, failure=failure)
    path.write_text(left.model_dump_json(indent=1), encoding="utf-8")


def clear_failures(directory: Path) -> None:
    """Forget those of an earlier attempt."""
    for path in _all(directory):
        path.unlink(missing_ok=True)


def first_failure(directory: Path) -> RankFailure | None:
    """Return the failure of the rank that failed first; the others followed from it."""
    found = []
    for path in _all(directory):
        with suppress(ValidationError):  # half written, as the rank was ended
            found.append(RankFailure.model_validate_json(path.read_text(encoding="utf-8")))
    return min(found, key=lambda one: one.time, default=None)


def _path(directory: Path, rank: int) -> Path:
    return directory / LOGS / f"failure-rank{rank}.json"


def _all(directory: Path) -> list[Path]:
    return sorted((directory / LOGS).glob("failure-rank*.json"))
