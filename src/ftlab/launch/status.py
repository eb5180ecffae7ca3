"""Status table of a sweep: the state of every job, from its record and from the Slurm queue if there is one."""

from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from ftlab.comparison.formats import format_duration, printable
from ftlab.comparison.listing import status_style
from ftlab.core.errors import UserError
from ftlab.launch.slurm_queue import queue_states, read_job_id
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.record.folder import CONFIG


def status_table(sweep: Path) -> Table:
    """Return a table with a row for each run of the sweep.

    Raises:
        UserError: the folder contains no run.
    """
    folders = sorted(path.parent for path in sweep.glob(f"*/{CONFIG}"))
    if not folders:
        raise UserError(f"{sweep} contains no runs: give the folder of a sweep, such as outputs/NAME.")
    job_ids = {folder: job_id for folder in folders if (job_id := read_job_id(folder))}
    states = queue_states(list(job_ids.values()))
    table = Table(
        title=Text(printable(str(sweep))), title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in ("run", "status", "step", "loss", "time", "where", "queue"):
        table.add_column(name, overflow="fold", justify="right" if name in ("step", "loss", "time") else "left")
    for folder in folders:
        record, status = _record_and_status(folder)
        job_id = job_ids.get(folder)
        queued = f"{job_id} {states.get(job_id, 'gone')}" if job_id else ""
        cells = (*_progress(record), _process(record), queued)
        table.add_row(Text(printable(folder.name)), Text(status, status_style(status)), *map(Text, cells))
    return table


def _record_and_status(folder: Path) -> tuple[RunRecord | None, str]:
    """Return a run's record, if there is one that can be read, and its state."""
    if not (folder / FILE_NAME).exists():
        return None, "waiting"
    try:
        record = read_record(folder)
    except UserError:  # one broken record must not hide the others
        return None, "unreadable"
    return record, record.status


def _progress(record: RunRecord | None) -> tuple[str, str, str]:
    if record is None:
        return "", "", ""
    progress = record.progress
    step = f"{progress.step}/{progress.steps}" if progress else ""
    loss = f"{progress.loss:.4f}" if progress and progress.loss is not None else ""
    end = datetime.fromisoformat(record.finished_at) if record.finished_at else datetime.now(UTC)
    elapsed = end - datetime.fromisoformat(record.started_at)
    return step, loss, format_duration(elapsed.total_seconds())


def _process(record: RunRecord | None) -> str:
    process = record.process if record and record.status == "running" else None
    return f"{process.host}, process {process.pid}" if process else ""
