"""Command `ftlab dashboard`: the W&B workspace and report that compare runs. Imports no torch."""

from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.core.errors import UserError
from ftlab.core.terminal import Terminal

app = typer.Typer()


@app.command(
    "dashboard",
    epilog="The runs of one sweep: ftlab dashboard my-team/ftlab --sweep 2026-01-31_12-00-00\n\n"
    "See first what would be sent: ftlab dashboard my-team/ftlab --metric macro_f1 --dry-run",
)
def _dashboard(
    place: Annotated[str, typer.Argument(metavar="ENTITY/PROJECT", help="Where the runs are, e.g. my-team/ftlab.")],
    sweep: Annotated[str | None, typer.Option(help="Only the runs of this sweep; default: all of the project.")] = None,
    metric: Annotated[str, typer.Option(help="Test metric in the charts, e.g. accuracy, macro_f1, loss.")] = "accuracy",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent as JSON; no network.")] = False,
) -> None:
    """Make the W&B workspace and report that compare runs, and print their addresses.

    Bars of the metric by method, the metric against memory and time, parallel coordinates, curves grouped by method,
    and the tables of ftlab's own comparison. The runs must be at W&B first: tracker=wandb_online, or `ftlab sync`. Log
    in once with `wandb login`. Called again, it makes a new workspace and report, and changes no old one. TensorBoard,
    Trackio and MLflow need no dashboard: `ftlab sync SWEEP` prints the command that opens each.
    """
    report_errors(lambda: make_dashboard(place, sweep, metric, dry_run))


def make_dashboard(place: str, sweep: str | None, metric: str, dry_run: bool) -> None:
    """Make the dashboard of a project, see `ftlab dashboard --help`.

    Raises:
        UserError: the place is no project, wandb-workspaces is missing, or W&B did not take it.
    """
    entity, _, project = place.partition("/")
    if not (entity and project) or "/" in project:
        raise UserError(f"{place!r} names no project of W&B: write ENTITY/PROJECT, such as my-team/ftlab.")
    try:
        from ftlab.trackers import wandb_dashboard
    except ModuleNotFoundError as error:
        raise UserError(f'ftlab dashboard needs {error.name}: run `pip install "ftlab[wandb-report]"`.') from None
    if dry_run:
        print(wandb_dashboard.as_json(entity, project, sweep, metric))
        return
    console = Terminal(highlight=False)
    for address in wandb_dashboard.save(entity, project, sweep, metric):
        console.print(address, markup=False, soft_wrap=True)
