"""Queries of the Slurm queue. Needs Slurm's squeue, and no Python package."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ftlab.core.atomic import write_text
from ftlab.core.errors import UserError, clause

GONE = "GONE"  # no longer in the queue: it ended long ago
INTERRUPTED_STATES = (GONE, "CANCELLED", "DEADLINE", "TIMEOUT")  # ended, but not because the job failed
# PREEMPTED, NODE_FAIL and BOOT_FAIL are not final: Slurm requeues such a job, or forgets it some minutes later.
FINAL_STATES = (*INTERRUPTED_STATES, "COMPLETED", "FAILED", "OUT_OF_MEMORY")
_JOB_ID = "slurm.json"  # in the run's folder: the job's ID in the queue


def write_job_id(directory: Path, job_id: str) -> None:
    """Store the ID of the run's job in the queue."""
    write_text(directory / _JOB_ID, json.dumps({"job_id": job_id}))


def remove_job_id(directory: Path) -> None:
    """Remove the stored job ID, because the job has ended."""
    (directory / _JOB_ID).unlink(missing_ok=True)


def read_job_id(directory: Path) -> str | None:
    """Return the ID of the run's job in the queue; None if it was not submitted or has ended."""
    try:
        return str(json.loads((directory / _JOB_ID).read_text(encoding="utf-8"))["job_id"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def queued_job(directory: Path) -> str | None:
    """Return the ID of the run's job if it waits or runs in the queue; None if not."""
    job_id = read_job_id(directory)
    is_over = job_id is None or queue_states([job_id]).get(job_id, GONE) in FINAL_STATES
    return None if is_over else job_id


def queue_states(job_ids: Sequence[str]) -> dict[str, str]:
    """Return job ID -> Slurm state, for jobs that are still in the queue's memory; empty if there is no squeue."""
    if not job_ids or not shutil.which("squeue"):
        return {}
    arrays = sorted({job_id.partition("_")[0] for job_id in job_ids})
    squeue = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(arrays)}", "--format=%i|%T"]
    result = subprocess.run(squeue, capture_output=True, text=True, check=False)
    if result.returncode:
        if "Invalid job id" in result.stderr:  # they ended so long ago that Slurm has forgotten them
            return {}
        problem = clause(result.stderr) or f"exit status {result.returncode}"
        raise UserError(f"squeue failed ({problem}): try again; the jobs are not affected.")
    lines = [line.split("|") for line in result.stdout.split()]
    return {job_id: state for job_id, state in lines if job_id in job_ids}
