"""Output of a comparison: to files, the terminal and the trackers."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from ftlab import trackers
from ftlab.comparison import ComparisonTables
from ftlab.comparison.looks import record_looks
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.config.run_config import RunConfig
from ftlab.record.folder import relative_to_cwd
from ftlab.trackers.wandb_sync import has_pending_uploads


def report_comparison(comparison: ComparisonTables, directory: Path, console: Console) -> list[Path]:
    """Write the comparison to a folder, print it, and return the paths of its files; its tests are a look."""
    paths = write_comparison(comparison, directory)
    record_looks(comparison)
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
    """Send the comparison to the trackers of these runs; print a warning for a tracker that fails.

    At the end, print which command sends what W&B has kept offline.
    """
    trackers.publish_comparison(
        [config.tracker for config in configs],
        comparison,
        directory,
        paths,
        lambda message: console.print(f"Warning: {message}", style="yellow", markup=False, soft_wrap=True),
    )
    if has_pending_uploads(directory):
        command = shlex.join(["ftlab", "sync", str(relative_to_cwd(directory.resolve()))])
        sentence = f"W&B's data of these runs is offline; to upload it: {command}"
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
