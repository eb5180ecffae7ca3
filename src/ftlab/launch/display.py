"""Terminal display of running jobs: a line for each job, read from its record, so it works for remote jobs too."""

import sys
import time
from collections.abc import Callable, Hashable, Mapping

from rich.console import Console
from rich.text import Text

from ftlab.comparison.listing import status_style
from ftlab.core.terminal import Terminal
from ftlab.launch.executor import Job
from ftlab.launch.live_lines import LiveLines
from ftlab.launch.stage_text import join_parts, stage_parts
from ftlab.launch.sweep_clock import SweepClock
from ftlab.record import RunRecord
from ftlab.record.checkpoints import FOLDER, resume_points

_SECONDS_BETWEEN_LINES = 30.0
_STOPPED_ON_PURPOSE = ("Stopped", "Interrupted")  # failure types that are not printed as errors


class Display:
    """Progress bars on a terminal; in a log file, a line when a job starts, every 30 seconds, and when it ends."""

    def __init__(
        self,
        console: Console,
        total: int,
        labels: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the display.

        Args:
            console: where to print.
            total: number of jobs in the sweep.
            labels: name of a job's folder -> what tells it from the others; may be empty.
            clock: monotonic clock, in seconds.
        """
        self._console = console
        self._total = total
        self._labels = labels or {}
        self._clock = clock
        self._numbers: dict[str, int] = {}  # of the jobs in the order in which they started, by their folder's name
        self._printed_at: dict[str, float] = {}  # of a running job's state, in the log, by its folder's name
        self._last_heading: str | None = None  # the job named by the last heading
        self._printed: set[Hashable] = set()  # notes, warnings and plans
        self._sweep = SweepClock(total, clock)
        self._live = LiveLines(console, clock)

    def __enter__(self) -> "Display":
        self._live.start()
        self._live.add("", "sweep")  # the first process imports libraries for seconds
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def started(self, job: Job) -> None:
        """Show a job that has started."""
        name = job.directory.name
        heading = self._heading(name)
        if points := resume_points(job.directory / FOLDER):
            self._print(f"  resuming at step {points[0].step}")
        self._live.add(name, f"{heading} {self._labels.get(name) or name}")
        self._printed_at[name] = self._clock()
        self._sweep.started(name)
        self._update_sweep()

    def note(self, sentence: str) -> None:
        """Print a sentence about a job before it starts."""
        self._print(sentence, style="yellow")

    def skipped(self, job: Job, reason: str) -> None:
        """Print why a job is not run."""
        self._heading(job.directory.name)
        self._print(f"  {reason}")
        self._sweep.skipped(job.directory.name)
        self._update_sweep()

    def update(self, job: Job, record: RunRecord) -> None:
        """Update the job's line from its record."""
        if record.status != "running":  # of an earlier attempt, or at its end
            return
        self._print_notes(job, record)
        name = job.directory.name
        parts = stage_parts(record)
        done, total = (record.stage.done, record.stage.total) if record.stage else (0, None)
        self._live.update(name, parts, done=done, total=total)
        self._sweep.update(name, record.stage.left_s if record.stage else None)
        self._update_sweep()
        if not self._console.is_terminal and self._clock() - self._printed_at[name] > _SECONDS_BETWEEN_LINES:
            self._printed_at[name] = self._clock()
            self._print(f"  {name}: {join_parts(parts)}")

    def ended(self, job: Job, record: RunRecord) -> None:
        """Print how the job ended."""
        self._print_notes(job, record)
        name = job.directory.name
        del self._printed_at[name]
        self._live.remove(name)
        self._print(f"  {self._prefix(job)}{_end_summary(record)}", style=status_style(record.status))
        if record.failure and record.failure.type not in _STOPPED_ON_PURPOSE:
            # behind the back of the live lines, the end of a long error would be lost
            same_screen = self._console.is_terminal and sys.stderr.isatty()
            console = self._console if same_screen else Terminal(stderr=True)
            log = job.directory / "logs" / "job.log"
            console.print(Text(f"error: {record.failure.message} (log: {log})", "red"), soft_wrap=True)
        self._sweep.ended(name, record.status)
        self._update_sweep()
        if self._total > 1 and not self._console.is_terminal:
            self._print(f"sweep: {join_parts(self._sweep.parts(elapsed=True))}")

    def _heading(self, name: str) -> str:
        """Print number, folder and label of a job, and return its number in the sweep."""
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        heading, label = f"[{number}/{self._total}]", self._labels.get(name)
        self._print(f"{heading} {name}{f'  {label}' if label else ''}", style="bold")
        self._last_heading = name
        return heading

    def _update_sweep(self) -> None:
        if self._total > 1:
            self._live.update("", self._sweep.parts(), done=self._sweep.done, total=self._total)
        else:
            self._live.hide("")

    def _print_notes(self, job: Job, record: RunRecord) -> None:
        """Print notes, warnings and the training plan as they come; what is about the data once for all jobs."""
        name, data, plan = job.directory.name, record.data, record.training_plan
        for note in data.notes if data else []:
            self._print_once(f"  {note}")
        for warning in record.warnings:
            whose = "" if data and warning in data.row_warnings else name
            self._print_once(f"  {self._prefix(job)}warning: {warning}", (warning, whose), "yellow")
        if plan:
            text = f"training on {plan}, learning rate {plan.lr:g}"
            self._print_once(f"  {self._prefix(job)}{text}", text)

    def _print_once(self, line: str, what: Hashable = None, style: str | None = None) -> None:
        if (what or line) not in self._printed:
            self._printed.add(what or line)
            self._print(line, style)

    def _prefix(self, job: Job) -> str:
        """Return the name of a job that the last heading does not name."""
        return "" if self._last_heading == job.directory.name else f"{job.directory.name}: "

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(Text(line, style or ""), soft_wrap=True)  # the live lines would have the style, too


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
