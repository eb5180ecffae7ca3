"""Command `ftlab rm`: removal of runs that have no result. Imports no torch."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.core.errors import Failed, UserError, clause
from ftlab.record.folder import relative_to_cwd
from ftlab.record.removal import REMOVED_BY_DEFAULT, RESUMABLE

if TYPE_CHECKING:
    from rich.table import Table

    from ftlab.sweeps.removal import Removable, RemovalPlan

app = typer.Typer()


@app.command(
    "rm",
    epilog="What failed, ran out of memory or was pruned: ftlab rm outputs/SWEEP\n\n"
    "In all sweeps, without a question: ftlab rm outputs --yes\n\n"
    "What was interrupted and is not to be resumed: ftlab rm outputs/SWEEP --status interrupted,timeout",
)
def _rm(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Runs, sweeps, or folders of sweeps.")],
    status: Annotated[
        str,
        typer.Option(
            metavar="STATUS,...",
            help=f"Runs to remove: {', '.join(REMOVED_BY_DEFAULT)}, and also {', '.join(RESUMABLE)}.",
        ),
    ] = ",".join(REMOVED_BY_DEFAULT),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without a question.")] = False,
) -> None:
    """Remove runs that have no result; completed and running ones are never removed.

    Lists the runs and asks before it removes them. The comparison of their sweep is written anew from the other runs,
    so it no longer counts these failures; the command of the sweep would run them again.
    """
    report_errors(lambda: _remove(folders, status, yes))


def _remove(folders: list[Path], status: str, yes: bool) -> None:
    from rich.text import Text

    from ftlab.comparison.formats import printable
    from ftlab.core.terminal import Terminal
    from ftlab.sweeps.removal import parse_statuses, plan_removal, remove_runs

    console = Terminal(highlight=False)
    plan = plan_removal(folders, parse_statuses(status))
    for sentence in plan.left_alone:
        console.print(Text(f"Left alone: {printable(sentence)}", style="yellow"), soft_wrap=True)
    if plan.runs:
        console.print(_table(plan))
    else:
        other = "other " if plan.left_alone else ""
        console.print(
            f"There is nothing to remove: no {other}run here is {' or '.join(plan.statuses)}.", soft_wrap=True
        )
    if pending := sum(run.pending_uploads for run in plan.runs):
        console.print(
            f"Offline W&B data of {pending} of them {'was' if pending == 1 else 'were'} not uploaded: ftlab sync does "
            "that first.",
            soft_wrap=True,
        )
    if plan.runs and not yes:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UserError("nothing was removed, since there is no terminal to ask on: add --yes.")
        typer.confirm(f"Remove {_amount(plan.runs)}?", abort=True)
    removal = remove_runs(plan)
    if removal.removed:
        console.print(
            f"Removed {_amount(removal.removed)}: failures among them no longer appear in the comparison, and the "
            "command of their sweep would run them again.",
            soft_wrap=True,
        )
    if removal.problems:
        raise Failed(" ".join(removal.problems))


def _table(plan: "RemovalPlan") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from ftlab.comparison.formats import format_size, printable
    from ftlab.comparison.listing import status_style

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("folder", "status", "size", "W&B", "why"):
        table.add_column(name, overflow="fold", no_wrap=name in ("status", "size", "W&B"))
    for run in plan.runs:
        table.add_row(
            Text(printable(str(relative_to_cwd(run.folder)))),
            Text(run.status, status_style(run.status)),
            format_size(run.size),
            "not uploaded" if run.pending_uploads else "",
            Text(clause(run.reason, 80)),
        )
    return table


def _amount(runs: "Sequence[Removable]") -> str:
    from ftlab.comparison.formats import format_size

    size = format_size(sum(run.size for run in runs))
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} ({size})"
