"""Command `ftlab compare`, which reads records of runs. Imports no torch."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.comparison.comparability import ALLOW_ALL, MUST_MATCH, UNFINISHED, parse_allowed

app = typer.Typer()

MarginOption = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE",
        help="Rows shown to be at most this far behind the best are as good: 0.01 in the metric's unit, or 1% of its "
        "range; default: as the sweep declared it (compare.margin), or 0.01 for metrics between 0 and 1.",
    ),
]


@app.command("compare")
def _compare(
    folders: Annotated[list[Path], typer.Argument(help="Sweeps or runs, e.g. outputs/2026-01-31_12-00-00.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the files; default: the first of FOLDERS.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="The method that others are tested against; default: as the sweep declared it (compare.reference), or "
            "full, or the first by name.",
        ),
    ] = None,
    margin: MarginOption = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help=f"Also test rows that differ in WHAT ({', '.join(MUST_MATCH)} or {ALLOW_ALL}); otherwise only marked. "
            f"{UNFINISHED}: test before all runs are in.",
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Repeat whenever a run starts or ends, until no run is left; the tests come then."
        ),
    ] = False,
) -> None:
    """Compare runs of one or more sweeps: prints a table, writes report.html and comparison.md, .csv, .tex, .json."""

    def action() -> None:
        from ftlab.comparison import compare, updated_comparisons
        from ftlab.core.terminal import Terminal
        from ftlab.sweeps import report

        compared = partial(compare, folders, reference=reference, margin=margin, allow=parse_allowed(allow or []))
        directory, console = output or folders[0], Terminal()
        if watch:
            report.watch_comparisons(updated_comparisons(compared, folders), directory, console)
        else:
            report.report_comparison(compared(), directory, console)

    report_errors(action)
