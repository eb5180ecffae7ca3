"""Commands `ftlab ls` and `ftlab status`, which list runs, for people and for programs. Imports no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.core.errors import UserError

if TYPE_CHECKING:
    from ftlab.comparison.folder_table import FolderColumn

app = typer.Typer()

_Json = Annotated[bool, typer.Option("--json", help="Print a JSON list with an object for each line of the table.")]
_Plain = Annotated[
    bool, typer.Option("--plain", help="Print a line for each, without headings: the same fields, between tabs.")
]


@app.command(
    "ls",
    epilog="Fields of --plain and --json: folder, varies, started, states (status to number of runs), methods, tables "
    "(data set and model).",
)
def _ls(
    folder: Annotated[Path, typer.Argument(help="A folder of sweeps, or one sweep to list its runs.")] = Path(
        "outputs"
    ),
    runs: Annotated[bool, typer.Option("--runs", help="List single runs, also those in sweeps.")] = False,
    as_json: _Json = False,
    plain: _Plain = False,
) -> None:
    """List sweeps and runs with their status, the newest first."""

    def action() -> None:
        from ftlab.comparison.formats import printable
        from ftlab.comparison.listing import entries, listing_columns
        from ftlab.core.terminal import Terminal

        listed, errors = entries(folder, runs=runs)
        _print(listed, listing_columns(listed, folder), None, as_json=as_json, plain=plain)
        console = Terminal(stderr=as_json or plain)
        for error in errors:
            console.print(
                f"Left out: {printable(error)}", style="yellow", highlight=False, markup=False, soft_wrap=True
            )

    report_errors(action)


@app.command(
    "status",
    epilog="Fields of --plain and --json: run, varies, status, stage, stage_done, stage_total, left_s, step, steps, "
    "loss, elapsed_s, host, pid, job_id, queue_state; null or empty where there is nothing.",
)
def _status(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep, e.g. outputs/NAME.")],
    as_json: _Json = False,
    plain: _Plain = False,
) -> None:
    """Show what every run of a sweep is doing: from its record and, on a cluster, from the queue."""

    def action() -> None:
        from ftlab.launch.status import status_columns, sweep_status

        runs = sweep_status(sweep)
        _print(runs, status_columns(runs), str(sweep), as_json=as_json, plain=plain)

    report_errors(action)


def _print(
    rows: Sequence[Any], columns: "Sequence[FolderColumn]", title: str | None, *, as_json: bool, plain: bool
) -> None:
    from ftlab.comparison.folder_table import print_folders, print_for_programs
    from ftlab.core.terminal import Terminal

    if as_json and plain:
        raise UserError("--json and --plain exclude each other: give one of them.")
    if as_json or plain:
        print_for_programs(rows, as_json=as_json)
    else:
        print_folders(columns, Terminal(), title)
