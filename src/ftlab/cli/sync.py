"""`ftlab sync`: what was tracked offline goes where it can be seen. Imports no torch."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ftlab.cli.telling import telling_errors
from ftlab.errors import Failed, UserError

app = typer.Typer()


@app.command(
    "sync",
    epilog="See what would go where: ftlab sync outputs/SWEEP --dry-run\n\n"
    "To a team's project: ftlab sync outputs/SWEEP --entity TEAM --project NAME",
)
def _sync(
    folder: Annotated[Path, typer.Argument(help="A sweep, a run, or any folder of sweeps.")] = Path("outputs"),
    entity: Annotated[str | None, typer.Option(help="User or team; default: as set, or your own.")] = None,
    project: Annotated[str | None, typer.Option(help="Default: as set by tracker.project.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Upload those too that were uploaded before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Upload offline W&B runs, each once, and say how to open what other trackers have.

    tracker=wandb, the default, keeps runs in RUN/logs/wandb and the comparison in SWEEP/logs/wandb, without account or
    network. This sends them to W&B: settings, curves, results, up to 200 predictions of each run, and records. Log in
    once with `wandb login`, or set WANDB_API_KEY; WANDB_BASE_URL names a server of your own.
    """
    telling_errors(lambda: synced(folder, entity, project, again, dry_run))


def synced(folder: Path, entity: str | None, project: str | None, again: bool, dry_run: bool) -> None:
    """Do it.

    Raises:
        Failed: some runs were not taken.
        UserError: there is no such folder, or no account.
    """
    from ftlab import trackers
    from ftlab.trackers import offline

    console = Console(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    found = offline.find(folder)
    for sentence in trackers.shown(folder):
        say(sentence)
    wanted = [run for run in found if not run.running and (again or not run.uploaded)]
    before, running = sum(run.uploaded for run in found), sum(run.running for run in found)
    say(
        f"W&B: {len(found)} offline {'run' if len(found) == 1 else 'runs'} in {folder}"
        + (f", {before} uploaded before" if before else "")
        + (f", {running} still going on" if running else "")
        + "."
    )
    if not wanted:
        say("Nothing is left to upload.")
        return
    places = Counter((entity or run.entity or "your own entity", project or run.project) for run in wanted)
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    for (who, where), number in places.items():
        say(f"{'Would go' if dry_run else 'Go'} to {server}, {who}, project {where}: {number}")
    for run in wanted:
        say(f"  {run.owner}  {run.id}  {run.size / 1e6:.1f} MB")
    if dry_run:
        return
    from ftlab.trackers.wandb import has_key

    if not has_key():
        raise UserError(
            "nothing was uploaded, for there is no account: run `wandb login` with the key from "
            "https://wandb.ai/authorize, or set WANDB_API_KEY, and then ftlab sync again."
        )
    with console.status("uploading"):
        taken = offline.upload(wanted, project, entity)
    for run in wanted:
        say(f"  {'uploaded' if run in taken else 'FAILED'}: {run.owner} {taken.get(run, '')}".rstrip())
    if missing := len(wanted) - len(taken):
        raise Failed(
            f"{missing} of {len(wanted)} runs were not uploaded, for reasons that W&B's client gives above: they are "
            "still here, and ftlab sync tries them again."
        )
