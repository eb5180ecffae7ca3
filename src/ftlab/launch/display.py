"""Terminal display of running jobs: a line for each job, read from its record, so it works for remote jobs too."""

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ftlab.comparison.listing import status_style
from ftlab.core.terminal import Terminal
from ftlab.launch.executor import Job
from ftlab.record import RunRecord

_SECONDS_BETWEEN_LINES = 30.0
_STOPPED_ON_PURPOSE = ("Stopped", "Interrupted")  # failure types that are not printed as errors


@dataclass
class _Line:
    title: str
    task: TaskID
    printed_at: float = field(default_factory=time.monotonic)


class Display:
    """Progress bars on a terminal; in a log file, a line when a job starts, every 30 seconds, and when it ends."""

    def __init__(self, console: Console, total: int) -> None:
        """Set up the display.

        Args:
            console: where to print.
            total: number of jobs in the sweep.
        """
        self._console = console
        self._total = total
        self._count = 0
        self._lines: dict[str, _Line] = {}
        self._last_heading: str | None = None  # the job named by the last heading
        self._printed_notes: set[str] = set()
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
        """Show a job that has started."""
        self._count += 1
        title = f"[{self._count}/{self._total}] {job.directory.name}"
        self._print(title, style="bold")
        # escaped: a user's names may contain brackets, which are markup to rich
        task = self._bars.add_task(title.replace("[", r"\["), total=None, state="starting")
        self._lines[job.directory.name] = _Line(title, task)
        self._last_heading = job.directory.name

    def note(self, sentence: str) -> None:
        """Print a sentence about a job before it starts."""
        self._print(sentence, style="yellow")

    def skipped(self, job: Job, reason: str) -> None:
        """Print why a job is not run."""
        self._count += 1
        self._print(f"[{self._count}/{self._total}] {job.directory.name}", style="bold")
        self._print(f"  {reason}")

    def update(self, job: Job, record: RunRecord) -> None:
        """Update the job's line from its record."""
        self._print_notes(record)
        line, state, progress = self._lines[job.directory.name], _state(record), record.progress
        self._bars.update(
            line.task,
            total=progress.steps if progress else None,
            completed=progress.step if progress else 0,
            state=state,
        )
        if not self._console.is_terminal and time.monotonic() - line.printed_at > _SECONDS_BETWEEN_LINES:
            line.printed_at = time.monotonic()
            self._print(f"  {job.directory.name}: {state}")

    def ended(self, job: Job, record: RunRecord) -> None:
        """Print how the job ended."""
        self._print_notes(record)
        line = self._lines.pop(job.directory.name)
        self._bars.remove_task(line.task)
        name = "" if self._last_heading == job.directory.name else f"{job.directory.name}: "
        for warning in record.warnings:
            self._print(f"  {name}warning: {warning}", style="yellow")
        self._print(f"  {name}{_end_summary(record)}", style=status_style(record.status))
        if record.failure and record.failure.type not in _STOPPED_ON_PURPOSE:
            Terminal(stderr=True).print(
                f"error: {record.failure.message} (log: {job.directory / 'logs' / 'job.log'})",
                style="red",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def _print_notes(self, record: RunRecord) -> None:
        """Print notes on the data, such as detected columns; once for all jobs that read the same data."""
        for note in record.data.notes if record.data else []:
            if note not in self._printed_notes:
                self._printed_notes.add(note)
                self._print(f"  {note}")

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _state(record: RunRecord) -> str:
    if record.progress is None:
        return "loading" if record.fingerprint is None else "ready to train"
    loss = "" if record.progress.loss is None else f", loss {record.progress.loss:.4f}"
    return f"step {record.progress.step}/{record.progress.steps}{loss}"


def _end_summary(record: RunRecord) -> str:
    parts: list[str] = [record.status]
    if record.progress and record.status != "completed":
        parts.append(f"at step {record.progress.step}/{record.progress.steps}")
    if record.resumed_at and record.status == "completed":
        parts.append(f"(resumed after step {', '.join(map(str, record.resumed_at))})")
    test_metrics = [
        f"test {column.label} {metric.value:.4f}"
        for column in record.columns
        if (metric := record.test_metric(column.metric)) and metric.value is not None
    ]
    return " ".join(parts) + (f": {', '.join(test_metrics)}" if test_metrics else "")
