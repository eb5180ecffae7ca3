"""What the queue of a cluster knows of a job. Needs Slurm's squeue, and no Python package."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ftlab.errors import UserError

_TICKET = "slurm.json"  # in the run's folder: the job's number in the queue


def write_ticket(directory: Path, job_id: str) -> None:
    """Note the number under which the queue knows the run."""
    (directory / _TICKET).write_text(json.dumps({"job_id": job_id}), encoding="utf-8")


def remove_ticket(directory: Path) -> None:
    """Note that the job has ended."""
    (directory / _TICKET).unlink(missing_ok=True)


def read_ticket(directory: Path) -> str | None:
    """Return the job's number in the queue; None: it was not submitted, or has ended."""
    try:
        ticket: str = json.loads((directory / _TICKET).read_text(encoding="utf-8"))["job_id"]
        return ticket
    except (FileNotFoundError, ValueError, KeyError):
        return None


def queue_states(tickets: Sequence[str]) -> dict[str, str]:
    """Return ticket -> Slurm's state of those that the queue still knows; empty where there is no squeue."""
    if not tickets or not shutil.which("squeue"):
        return {}
    arrays = sorted({ticket.partition("_")[0] for ticket in tickets})
    listing = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(arrays)}", "--format=%i|%T"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    if done.returncode:
        if "Invalid job id" in done.stderr:  # so long over that Slurm has forgotten them
            return {}
        raise UserError(f"squeue does not answer ({done.stderr.strip()}): try again, the jobs are not touched.")
    lines = [line.split("|") for line in done.stdout.split()]
    return {ticket: state for ticket, state in lines if ticket in tickets}
