"""Several experiments, each in a process of its own, and the comparison at the end, whatever failed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import yaml
from rich.console import Console

from ftlab import compare
from ftlab.environment import is_alive
from ftlab.errors import Failed, UserError
from ftlab.fingerprint import config_hash
from ftlab.job import COMMAND_VARIABLE, CONFIG
from ftlab.record import FILE_NAME, Failure, RunRecord, Status, now, read_record
from ftlab.recorder import first_record
from ftlab.schema import RunConfig

# What a launcher of ranks leaves in the environment: a job that inherits it takes itself for a rank of another job.
_RANK_VARIABLES = (
    "LOCAL_RANK",
    "RANK",
    "GROUP_RANK",
    "NODE_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "PL_GLOBAL_SEED",
)
_GRACE_SECONDS = 30  # for a job to write its record after SIGTERM


class JobsFailed(Failed):
    """At least one job of a sweep did not complete; its record says why."""


class Interrupted(Exception):
    """The user stopped the sweep; carries the signal's number."""

    def __init__(self, signum: int) -> None:
        """Keep the signal for the exit status."""
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


def run_sweep(configs: list[RunConfig], directory: Path) -> list[RunRecord]:
    """Run every configuration in turn and compare what came out.

    A job that fails is recorded and the others go on. A run that is complete already is not run again.

    Args:
        configs: the experiments.
        directory: the sweep's folder; each run becomes a folder in it, next to the comparison.

    Returns:
        The record of each experiment, in order.

    Raises:
        UserError: one of the folders holds a run that goes on right now, or an unreadable record; nothing was started.
        Interrupted: after SIGINT, SIGTERM or SIGHUP; the comparison of what there is has been written all the same.
    """
    console = Console()
    runs = [(config, directory / run_name(config)) for config in configs]
    for _, run_directory in runs:
        _refuse_what_is_running(run_directory)
    records: list[RunRecord] = []
    try:
        with _signals_as_interrupts():
            for number, (config, run_directory) in enumerate(runs, start=1):
                console.print(f"[bold][{number}/{len(runs)}][/] {run_directory.name}", highlight=False)
                records.append(_run_or_reuse(config, run_directory, console))
    finally:
        if any(directory.glob(f"*/{FILE_NAME}")):
            report([directory], directory, console)
    return records


def run_name(config: RunConfig) -> str:
    """Return the folder name of a run: readable, and unique for what determines the result."""
    parts = (config.method.name, config.model.name, config.dataset.name, f"s{config.seed}", config_hash(config)[:8])
    return "-".join(re.sub(r"[^\w.]+", "_", Path(part).name).strip("_") for part in parts)


def _refuse_what_is_running(directory: Path) -> None:
    record = read_record(directory) if (directory / FILE_NAME).exists() else None
    if record and record.status == "running" and record.process and is_alive(record.process):
        raise UserError(
            f"{directory} is being run by process {record.process.pid}: wait for it, or choose another sweep.dir."
        )


def _run_or_reuse(config: RunConfig, directory: Path, console: Console) -> RunRecord:
    if (directory / FILE_NAME).exists():
        record = read_record(directory)
        if record.status == "completed":
            console.print("  complete already, not run again")
            return record
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    resolved = config.model_dump(mode="json", by_alias=True)
    (directory / CONFIG).write_text(yaml.safe_dump(resolved, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        return _settled(config, directory, _failure_by(_run_process(directory)), "failed")
    except Interrupted as stop:
        _settled(config, directory, Failure(type="Interrupted", message=str(stop)), "interrupted")
        raise


def _run_process(directory: Path) -> int:
    """Run one job to its end; on the way out, by whatever way, nothing of it is left running."""
    environment = {key: value for key, value in os.environ.items() if key not in _RANK_VARIABLES}
    environment[COMMAND_VARIABLE] = "\n".join(_command())
    process = subprocess.Popen(
        [sys.executable, "-m", "ftlab.job", str(directory)], env=environment, start_new_session=True
    )
    try:
        return process.wait()
    except Interrupted:
        _signal_group(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        raise
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _command() -> list[str]:
    """Return the command line behind this sweep, as a reader would type it."""
    program = Path(sys.argv[0]).name
    return [*(["python"] if program.endswith(".py") else []), program, *sys.argv[1:]]


def _signal_group(process: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them are gone already
        os.killpg(process.pid, signum)


def _settled(config: RunConfig, directory: Path, failure: Failure, status: Status) -> RunRecord:
    """Return the record as the job left it; one that could not write its own end gets this one."""
    record = read_record(directory) if (directory / FILE_NAME).exists() else first_record(config, directory, _command())
    if record.status == "running":
        record = record.model_copy(update={"status": status, "failure": failure, "finished_at": now()})
        record.write(directory)
    return record


def _failure_by(code: int) -> Failure:
    """Return what an exit status says of a job that wrote no end of its own."""
    if code >= 0:
        return Failure(type="NoRecord", message=f"the job ended with exit status {code} without writing its result")
    name = signal.Signals(-code).name
    message = f"the job was killed by {name}"
    if -code == signal.SIGKILL:  # what the kernel sends to a process that takes too much
        message += ": if memory ran out, raise optim.accumulate or lower budget.max_length"
    return Failure(type=name, message=message)


@contextlib.contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    def interrupt(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    before = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def report(roots: list[Path], directory: Path, console: Console) -> None:
    """Compare all runs under `roots`, write the comparison to `directory` and show it."""
    comparison = compare.compare(roots)
    paths = compare.write(comparison, directory)
    console.print(compare.table(comparison))
    for path in paths:
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
