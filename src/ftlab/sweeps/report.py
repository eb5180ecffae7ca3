"""Output of a comparison: to files, the terminal and the trackers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from ftlab import trackers
from ftlab.comparison import ComparisonTables
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.config.run_config import RunConfig


def report_comparison(comparison: ComparisonTables, directory: Path, console: Console) -> list[Path]:
    """Write the comparison to a folder, print it, and return the paths of its files."""
    paths = write_comparison(comparison, directory)
    console.print(terminal_tables(comparison))
    for path in paths:
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
    return paths


def watch_comparisons(comparisons: Iterable[ComparisonTables], directory: Path, console: Console) -> None:
    """Report each comparison as the runs change, until there are no more or the user presses Ctrl-C."""
    try:
        for comparison in comparisons:
            if console.is_terminal:
                console.clear()
            report_comparison(comparison, directory, console)
    except KeyboardInterrupt:
        console.print("Stopped watching; the files contain the last comparison.", highlight=False)


def publish_comparison(
    configs: Sequence[RunConfig],
    comparison: ComparisonTables,
    paths: list[Path],
    directory: Path,
    console: Console,
) -> None:
    """Send the comparison to the trackers of these runs; print a warning for a tracker that fails."""
    trackers.publish_comparison(
        [config.tracker for config in configs],
        comparison,
        directory,
        paths,
        lambda message: console.print(f"Warning: {message}", style="yellow", markup=False, soft_wrap=True),
    )
