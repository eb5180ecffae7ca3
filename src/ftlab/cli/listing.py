"""`ftlab ls`: what lies in a folder of outputs. Imports no torch."""

from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.telling import telling_errors

app = typer.Typer()


@app.command("ls")
def _ls(
    folder: Annotated[Path, typer.Argument(help="A folder of sweeps, or a sweep: then its runs.")] = Path("outputs"),
    runs: Annotated[bool, typer.Option("--runs", help="Each run by itself, also those in sweeps.")] = False,
) -> None:
    """List sweeps and runs with their status, the newest first."""

    def action() -> None:
        from rich.console import Console

        from ftlab.compare.listing import entries, listing

        console = Console()
        found, errors = entries(folder, runs=runs)
        console.print(listing(found, folder))
        for error in errors:
            console.print(f"Left out: {error}", style="yellow", highlight=False, markup=False)

    telling_errors(action)
