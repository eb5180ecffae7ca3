"""A comparison on its way out: its files, the terminal, the trackers."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from ftlab import compare, trackers
from ftlab.schema import RunConfig


def report(comparison: compare.Comparison, directory: Path, console: Console) -> list[Path]:
    """Write the comparison to a folder and show it; return the paths of its files."""
    paths = compare.write(comparison, directory)
    console.print(compare.table(comparison))
    for path in paths:
        console.print(str(path), highlight=False, markup=False, soft_wrap=True)
    return paths


def watch(comparisons: Iterable[compare.Comparison], directory: Path, console: Console) -> None:
    """Report each comparison as it comes, until there are no more or the user presses Ctrl-C."""
    try:
        for comparison in comparisons:
            if console.is_terminal:
                console.clear()
            report(comparison, directory, console)
    except KeyboardInterrupt:
        console.print("No longer watched; the files are of the last change.", highlight=False)


def publish(
    configs: Sequence[RunConfig],
    comparison: compare.Comparison,
    paths: list[Path],
    directory: Path,
    console: Console,
) -> None:
    """Give the trackers of these runs their comparison; one that fails is a warning."""
    trackers.publish(
        [config.tracker for config in configs],
        comparison,
        directory,
        paths,
        lambda sentence: console.print(f"Warning: {sentence}", style="yellow", markup=False, soft_wrap=True),
    )
