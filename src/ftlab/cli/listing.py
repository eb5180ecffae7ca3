"""Command `ftlab ls`: list of the sweeps and runs in a folder. Imports no torch."""

from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors

app = typer.Typer()


@app.command("ls")
def _ls(
    folder: Annotated[Path, typer.Argument(help="A folder of sweeps, or one sweep to list its runs.")] = Path(
        "outputs"
    ),
    runs: Annotated[bool, typer.Option("--runs", help="List single runs, also those in sweeps.")] = False,
) -> None:
    """List sweeps and runs with their status, the newest first."""

    def action() -> None:
        from ftlab.comparison.formats import printable
        from ftlab.comparison.listing import entries, listing_table
        from ftlab.core.terminal import Terminal

        console = Terminal()
        rows, errors = entries(folder, runs=runs)
        console.print(listing_table(rows, folder))
        for error in errors:
            console.print(f"Left out: {printable(error)}", style="yellow", highlight=False, markup=False)

    report_errors(action)
