"""Why a rank failed, in a file of its own: rank 0 only hears that a peer is gone."""

import json
import time
from pathlib import Path

from ftlab.record import Failure

LOGS = "logs"


def write_failure(directory: Path, rank: int, failure: Failure) -> None:
    """Leave a rank's failure in the run's folder; the traceback also goes to the rank's log."""
    path = _path(directory, rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"time": time.time(), "failure": failure.model_dump()}, indent=1), encoding="utf-8")


def clear_failures(directory: Path) -> None:
    """Forget those of an earlier attempt."""
    for path in _all(directory):
        path.unlink(missing_ok=True)


def first_failure(directory: Path) -> tuple[int, Failure] | None:
    """Return rank and failure of the rank that failed first; the others followed from it."""
    found = []
    for path in _all(directory):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            rank = int(path.stem.removeprefix("failure-rank"))
            found.append((told["time"], rank, Failure.model_validate(told["failure"])))
        except (ValueError, KeyError):  # half written, as the rank was ended
            continue
    return min(found, key=lambda one: one[0])[1:] if found else None


def _path(directory: Path, rank: int) -> Path:
    return directory / LOGS / f"failure-rank{rank}.json"


def _all(directory: Path) -> list[Path]:
    return sorted((directory / LOGS).glob("failure-rank*.json"))
