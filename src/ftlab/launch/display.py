"""What the user sees while jobs run: a line for each, from its record alone, wherever it runs."""

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ftlab.launch.job import Job
from ftlab.record import PRUNED, RunRecord

_SECONDS_BETWEEN_LINES = 30.0
_TOLD_TO_STOP = ("Stopped", "Interrupted", PRUNED)  # no error: it was meant
_STYLES = {"completed": "green", "interrupted": "yellow", "timeout": "yellow"}


@dataclass
class _Line:
    title: str
    task: TaskID
    printed_at: float = field(default_factory=time.monotonic)


class Display:
    """Bars on a terminal; in a log file a line when a job starts, every half minute, and when it ends."""

    def __init__(self, console: Console, total: int) -> None:
        """Take the number of jobs of the sweep."""
        self._console = console
        self._total = total
        self._count = 0
        self._lines: dict[str, _Line] = {}
        self._headed: str | None = None  # the job that the last heading names
        self._noted: set[str] = set()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "Display":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, job: Job) -> None:
        """Show a job that runs now."""
        self._count += 1
        title = f"[{self._count}/{self._total}] {job.directory.name}"
        self._say(title, style="bold")
        # markup off: a name of the user's may hold brackets
        task = self._bars.add_task(title.replace("[", r"\["), total=None, state="starting")
        self._lines[job.directory.name] = _Line(title, task)
        self._headed = job.directory.name

    def skipped(self, job: Job, why: str) -> None:
        """Tell of a job that is not run."""
        self._count += 1
        self._say(f"[{self._count}/{self._total}] {job.directory.name}", style="bold")
        self._say(f"  {why}")

    def follow(self, job: Job, record: RunRecord) -> None:
        """Bring the job's line up to date."""
        self._note(record)
        line, state, done = self._lines[job.directory.name], _state(record), record.progress
        self._bars.update(
            line.task, total=done.steps if done else None, completed=done.step if done else 0, state=state
        )
        if not self._console.is_terminal and time.monotonic() - line.printed_at > _SECONDS_BETWEEN_LINES:
            line.printed_at = time.monotonic()
            self._say(f"  {job.directory.name}: {state}")

    def ended(self, job: Job, record: RunRecord) -> None:
        """Tell how the job ended."""
        self._note(record)
        line = self._lines.pop(job.directory.name)
        self._bars.remove_task(line.task)
        name = "" if self._headed == job.directory.name else f"{job.directory.name}: "
        for warning in record.warnings:
            self._say(f"  {name}warning: {warning}", style="yellow")
        style = "yellow" if _is_pruned(record) else _STYLES.get(record.status, "red")
        self._say(f"  {name}{_ending(record)}", style=style)
        if record.failure and record.failure.type not in _TOLD_TO_STOP:
            Console(stderr=True).print(
                f"error: {record.failure.message} (log: {job.directory / 'logs' / 'job.log'})",
                style="red",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def _note(self, record: RunRecord) -> None:
        """Tell what was found out about the data, once for all jobs that read it."""
        for note in record.data.notes if record.data else []:
            if note not in self._noted:
                self._noted.add(note)
                self._say(f"  {note}")

    def _say(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _state(record: RunRecord) -> str:
    if record.progress is None:
        return "loading" if record.fingerprint is None else "ready to train"
    loss = "" if record.progress.loss is None else f", loss {record.progress.loss:.4f}"
    return f"step {record.progress.step}/{record.progress.steps}{loss}"


def _is_pruned(record: RunRecord) -> bool:
    return record.failure is not None and record.failure.type == PRUNED


def _ending(record: RunRecord) -> str:
    parts: list[str] = ["pruned" if _is_pruned(record) else record.status]
    if record.progress and record.status != "completed":
        parts.append(f"at step {record.progress.step}/{record.progress.steps}")
    if record.resumed_at and record.status == "completed":
        parts.append(f"(gone on with after step {', '.join(map(str, record.resumed_at))})")
    shown = [
        f"test {column.label} {metric.value:.4f}"
        for column in record.columns
        if (metric := record.test_metric(column.metric)) and metric.value is not None
    ]
    return " ".join(parts) + (f": {', '.join(shown)}" if shown else "")
