"""The state of every job of a sweep, from its records and, where there is one, from the queue."""

from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from ftlab.errors import UserError
from ftlab.launch.slurm_queue import queue_states, read_ticket
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.record.folder import CONFIG

_STYLES = {"completed": "green", "running": "cyan", "waiting": "dim", "interrupted": "yellow", "timeout": "yellow"}


def status_table(sweep: Path) -> Table:
    """Return a row for each run of the sweep.

    Raises:
        UserError: there is no run in the folder, or a record cannot be read.
    """
    folders = sorted(path.parent for path in sweep.glob(f"*/{CONFIG}"))
    if not folders:
        raise UserError(f"no run lies in {sweep}: give the folder of a sweep, such as outputs/NAME.")
    tickets = {folder: ticket for folder in folders if (ticket := read_ticket(folder))}
    states = queue_states(list(tickets.values()))
    table = Table(title=str(sweep), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in ("run", "status", "step", "loss", "time", "where", "queue"):
        table.add_column(name, overflow="fold", justify="right" if name in ("step", "loss", "time") else "left")
    for folder in folders:
        record = read_record(folder) if (folder / FILE_NAME).exists() else None
        status = record.status if record else "waiting"
        ticket = tickets.get(folder)
        queued = f"{ticket} {states.get(ticket, 'gone')}" if ticket else ""
        table.add_row(
            folder.name, f"[{_STYLES.get(status, 'red')}]{status}[/]", *_progress(record), _where(record), queued
        )
    return table


def _progress(record: RunRecord | None) -> tuple[str, str, str]:
    if record is None:
        return "", "", ""
    done = record.progress
    step = f"{done.step}/{done.steps}" if done else ""
    loss = f"{done.loss:.4f}" if done and done.loss is not None else ""
    end = datetime.fromisoformat(record.finished_at) if record.finished_at else datetime.now(UTC)
    elapsed = int((end - datetime.fromisoformat(record.started_at)).total_seconds())
    return step, loss, f"{elapsed // 3600}:{elapsed // 60 % 60:02}:{elapsed % 60:02}"


def _where(record: RunRecord | None) -> str:
    process = record.process if record and record.status == "running" else None
    return f"{process.host}, process {process.pid}" if process else ""
