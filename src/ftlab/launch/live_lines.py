"""Lines at the bottom of a terminal that change while jobs run: one for each job, none wider than the terminal."""

from collections.abc import Callable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column

_TITLE_SHARE = 0.3  # of the width, at most
_BAR, _TIME, _GAPS = 4, 7, 3  # cells: of the bar at least, of the elapsed time, and between the columns


class LiveLines:
    """A bar for each line, its title and state, and the time since it was added; nothing where there is no terminal."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        """Set where the lines are shown."""
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            _Bar(table_column=Column(ratio=1)),
            TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=_TIME)),
            console=console,
            transient=True,
            expand=True,
            get_time=clock,
            disable=not console.is_terminal,
        )

    def start(self) -> None:
        """Begin to show the lines."""
        self._progress.start()

    def stop(self) -> None:
        """Remove the lines."""
        self._progress.stop()

    def add(self, key: str, title: str) -> None:
        """Add a line at the bottom; a title that is too long is shortened in its middle."""
        short = shorten_middle(title, max(12, int(self._console.width * _TITLE_SHARE)))
        self._tasks[key] = self._progress.add_task(short, total=None, state="starting", done=0, of=None)

    def update(self, key: str, parts: Sequence[str], *, done: int, total: int | None) -> None:
        """Change a line: parts that do not fit are left out, the last first; without a total, the bar only moves."""
        title = self._progress.tasks[self._progress.task_ids.index(self._tasks[key])].description
        width = self._console.width - cell_len(title) - _BAR - _TIME - _GAPS
        self._progress.update(self._tasks[key], state=_fitting(parts, width), done=done, of=total)

    def hide(self, key: str) -> None:
        """Show a line no more, but keep it."""
        self._progress.update(self._tasks[key], visible=False)

    def remove(self, key: str) -> None:
        """Remove a line."""
        self._progress.remove_task(self._tasks.pop(key))


class _Bar(ProgressColumn):
    """Bar whose total may change or be unknown, which rich's own cannot."""

    def render(self, task: Task) -> ProgressBar:
        done, total = task.fields["done"], task.fields["of"]
        return ProgressBar(total=total, completed=done, pulse=total is None, animation_time=task.get_time())


def shorten_middle(text: str, width: int) -> str:
    """Return a text that is no wider than so many cells of a terminal, with `…` for its middle if it is longer."""
    if cell_len(text) <= width:
        return text
    front = (width - 1) // 2
    return f"{set_cell_size(text, front).rstrip()}…{set_cell_size(text[::-1], width - 1 - front)[::-1].lstrip()}"


def _fitting(parts: Sequence[str], width: int) -> str:
    kept = list(parts)
    while len(kept) > 1 and cell_len(", ".join(kept)) > width:
        kept.pop()
    return ", ".join(kept)
