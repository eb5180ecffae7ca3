"""How a job ended, for good: what its processes could not write themselves, or could not know."""

import signal

from ftlab.launch.failures import first_failure
from ftlab.launch.job import Job, Outcome
from ftlab.record import FILE_NAME, PRUNED, Failure, OutOfMemory, RunRecord, Status, now, read_record
from ftlab.recorder import first_record

_KILLED_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def settled(job: Job, outcome: Outcome, command: list[str]) -> RunRecord:
    """Return the record as the job left it; one that could not write its own end, or the true one, gets this one."""
    path = job.directory / FILE_NAME
    record = read_record(job.directory) if path.exists() else first_record(job.config, job.directory, command)
    told = first_failure(job.directory)
    changes: dict[str, object] = {}
    vanished = record.status == "running" or (record.failure is not None and record.failure.type == "Vanished")
    killed = any(code < 0 for code in outcome.codes)  # the other ranks failed because of that
    if vanished or (killed and record.status == "failed"):
        status, failure = _by_codes(outcome)
        changes = {"status": status, "failure": failure, "finished_at": now()}
    elif told and record.status != "completed" and told.rank != 0:
        message = f"rank {told.rank}: {told.failure.message}"
        failure = told.failure.model_copy(update={"message": message})
        changes = {"status": told.status, "failure": failure, "finished_at": now()}
    if outcome.stopped == "pruned" and record.status != "completed":
        failure = Failure(type=PRUNED, message="stopped, for other settings are ahead of it at this step")
        changes = {"status": "failed", "failure": failure}
    if outcome.stopped == "timeout" and record.status != "completed":
        minutes = job.config.sweep.timeout_min
        changes = {
            "status": "timeout",
            "failure": Failure(type="Timeout", message=f"stopped after sweep.timeout_min={minutes:g} minutes"),
        }
    if changes:
        record = record.model_copy(update=changes)
        record.write(job.directory)
    return record


def _by_codes(outcome: Outcome) -> tuple[Status, Failure]:
    """Return what the exit status says of a job that wrote no end of its own."""
    code = min(outcome.codes, default=0) or max(outcome.codes, default=0)
    if outcome.stopped:
        return "interrupted", Failure(type="Interrupted", message="stopped with the sweep")
    if code >= 0:
        message = f"the job ended with exit status {code} without writing its result"
        return "failed", Failure(type="NoRecord", message=message)
    name = signal.Signals(-code).name
    who = f"rank {outcome.codes.index(code)}" if len(outcome.codes) > 1 else "the job"
    message = f"{who} was killed by {name}"
    if -code == signal.SIGKILL and outcome.out_of_memory:
        message += ", for the machine ran out of memory: raise optim.accumulate, or lower budget.max_length"
        return "oom", Failure(type=name, message=message)
    return "interrupted" if -code in _KILLED_FROM_OUTSIDE else "failed", Failure(type=name, message=message)


def halve(job: Job, record: RunRecord) -> bool:
    """Note the attempt and make room for one with half the micro-batch; False where one example is too much already."""
    tried = job.config.with_smaller_micro_batches(len(record.out_of_memory))
    if tried.micro_batch_size % 2:
        return False
    attempt = OutOfMemory(
        micro_batch_size=tried.micro_batch_size,
        accumulate=tried.optim.accumulate,
        step=record.progress.step if record.progress else None,
        peak_memory_bytes=record.progress.peak_memory_bytes if record.progress else None,
        message=record.failure.message if record.failure else "",
    )
    record.model_copy(update={"out_of_memory": [*record.out_of_memory, attempt]}).write(job.directory)
    return True
