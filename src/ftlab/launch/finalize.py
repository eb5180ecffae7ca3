"""Final status of a job: completes the record with what its processes could not write or know themselves."""

import signal
from contextlib import suppress

from ftlab.launch.executor import Job, Outcome
from ftlab.launch.failures import first_failure
from ftlab.record import FILE_NAME, Failure, OutOfMemory, RunRecord, Status, TornFile, now, read_record
from ftlab.record.folder import PRUNED
from ftlab.train.recorder import new_record

_OUTSIDE_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def finalized(job: Job, outcome: Outcome) -> RunRecord:
    """Return the job's final record.

    It is the record as the job wrote it. Where the job could not write how it ended, or wrote a consequence instead of
    the cause, status and failure are corrected, in its file too.
    """
    record = _record_of(job)
    rank_failure = first_failure(job.directory)
    changes: dict[str, object] = {}
    vanished = record.status == "running" or (record.failure is not None and record.failure.type == "Vanished")
    killed = any(code < 0 for code in outcome.exit_codes)  # which made the other ranks fail
    if vanished or (killed and record.status == "failed"):
        status, failure = _from_exit_codes(outcome)
        changes = {"status": status, "failure": failure, "finished_at": now()}
    elif rank_failure and record.status != "completed" and rank_failure.rank != 0:
        message = f"rank {rank_failure.rank}: {rank_failure.failure.message}"
        failure = rank_failure.failure.model_copy(update={"message": message})
        changes = {"status": rank_failure.status, "failure": failure, "finished_at": now()}
    if outcome.stop_reason == "pruned" and record.status in ("running", "interrupted", "paused", "pruned"):
        changes |= {"status": "pruned", "failure": None}
    if outcome.stop_reason == "timeout" and record.status != "completed":
        minutes = job.config.sweep.timeout_min
        failure = Failure(type="Timeout", message=f"stopped after sweep.timeout_min={minutes:g} minutes")
        changes |= {"status": "timeout", "failure": failure}
    if changes:
        record = record.model_copy(update=changes)
        record.write(job.directory)
    (job.directory / PRUNED).unlink(missing_ok=True)
    return record


def _record_of(job: Job) -> RunRecord:
    """Return the record that the job wrote; a new one if there is none, or it is torn."""
    if (job.directory / FILE_NAME).exists():
        with suppress(TornFile):
            return read_record(job.directory)
    return new_record(job.config, job.directory, job.command)


def _from_exit_codes(outcome: Outcome) -> tuple[Status, Failure]:
    """Return status and failure of a job that did not write them itself, from its exit codes."""
    code = min(outcome.exit_codes, default=0) or max(outcome.exit_codes, default=0)  # a signal before an error
    if outcome.stop_reason:
        return "interrupted", Failure(type="Interrupted", message="stopped with the sweep")
    if code >= 0:
        message = f"the job ended with exit status {code} without writing its result"
        return "failed", Failure(type="NoRecord", message=message)
    name = signal.Signals(-code).name
    culprit = f"rank {outcome.exit_codes.index(code)}" if len(outcome.exit_codes) > 1 else "the job"
    message = f"{culprit} was killed by {name}"
    if -code == signal.SIGKILL and outcome.out_of_memory:
        message += " because the machine ran out of memory: raise optim.accumulate, or lower budget.max_length"
        return "oom", Failure(type=name, message=message)
    return "interrupted" if -code in _OUTSIDE_SIGNALS else "failed", Failure(type=name, message=message)


def retry_with_smaller_micro_batch(job: Job, record: RunRecord) -> bool:
    """Record the out-of-memory attempt, so that the next one halves the micro-batch.

    Returns:
        Whether to try again; False if the micro-batch cannot be halved any more.
    """
    attempted = job.config.with_smaller_micro_batches(len(record.out_of_memory))
    if attempted.micro_batch_size % 2:
        return False
    attempt = OutOfMemory(
        micro_batch_size=attempted.micro_batch_size,
        accumulate=attempted.optim.accumulate,
        step=record.progress.step if record.progress else None,
        peak_memory_bytes=record.progress.peak_memory_bytes if record.progress else None,
        message=record.failure.message if record.failure else "",
    )
    record.model_copy(update={"out_of_memory": [*record.out_of_memory, attempt]}).write(job.directory)
    return True
