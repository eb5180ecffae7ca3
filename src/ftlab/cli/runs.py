"""Commands that read the records of runs and sweeps. Imports no torch."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.telling import telling_errors
from ftlab.compare.comparability import ALL, GUARDED, allowed

app = typer.Typer()


@app.command("compare")
def _compare(
    folders: Annotated[list[Path], typer.Argument(help="Sweeps or runs, e.g. outputs/2026-01-31_12-00-00.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the files; default: the first one.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Against whom the others are tested; default: full, or the first by name."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help=f"Test rows that differ in {', '.join(GUARDED)}, or {ALL}: without it they are marked and not tested.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Again whenever a run begins or ends, until nothing runs any more.")
    ] = False,
) -> None:
    """Compare runs, of several sweeps too: a table here, report.html and comparison.md, .csv, .tex and .json."""

    def action() -> None:
        from rich.console import Console

        from ftlab import compare, reporting

        compared = partial(compare.compare, folders, reference=reference, allow=allowed(allow or []))
        directory, console = output or folders[0], Console()
        if watch:
            reporting.watch(compare.comparisons(compared, folders), directory, console)
        else:
            reporting.report(compared(), directory, console)

    telling_errors(action)


@app.command("status")
def _status(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep, e.g. outputs/NAME.")],
) -> None:
    """Show how far every run of a sweep is: from its records and, on a cluster, from the queue."""

    def action() -> None:
        from rich.console import Console

        from ftlab.launch.status import status_table

        Console().print(status_table(sweep))

    telling_errors(action)
