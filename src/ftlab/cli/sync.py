"""Command `ftlab sync`: upload of offline W&B runs. Imports no torch."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.core.errors import Failed, UserError
from ftlab.core.terminal import Terminal

app = typer.Typer()


@app.command(
    "sync",
    epilog="Show what would be uploaded: ftlab sync outputs/SWEEP --dry-run\n\n"
    "Upload to a team's project: ftlab sync outputs/SWEEP --entity TEAM --project NAME",
)
def _sync(
    folder: Annotated[Path, typer.Argument(help="A sweep, a run, or any folder of sweeps.")] = Path("outputs"),
    entity: Annotated[str | None, typer.Option(help="User or team; default: tracker.entity, or your own.")] = None,
    project: Annotated[str | None, typer.Option(help="Default: tracker.project.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Upload again what was uploaded before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
) -> None:
    """Upload offline W&B runs, each once, and print how to open the data of other trackers.

    tracker=wandb, the default, keeps runs in RUN/logs/wandb and the comparison in SWEEP/logs/wandb, without account or
    network. This command uploads settings, curves, results, up to 200 predictions per run, and records. Log in once
    with `wandb login`, or set WANDB_API_KEY; set WANDB_BASE_URL for your own server.
    """
    report_errors(lambda: sync_runs(folder, entity, project, again, dry_run))


def sync_runs(folder: Path, entity: str | None, project: str | None, again: bool, dry_run: bool) -> None:
    """Upload the offline runs in a folder, see `ftlab sync --help`.

    Raises:
        Failed: some runs were not uploaded.
        UserError: the folder does not exist, or there is no account.
    """
    from ftlab import trackers
    from ftlab.trackers import wandb_sync

    console = Terminal(highlight=False)

    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    runs = wandb_sync.find_offline_runs(folder)
    for sentence in trackers.viewing_hints(folder):
        say(sentence)
    pending = [run for run in runs if not run.running and (again or not run.uploaded)]
    before, running = sum(run.uploaded for run in runs), sum(run.running for run in runs)
    say(
        f"W&B: {len(runs)} offline {'run' if len(runs) == 1 else 'runs'} in {folder}"
        + (f", {before} uploaded before" if before else "")
        + (f", {running} still running" if running else "")
        + "."
    )
    if not pending:
        say("There is nothing to upload.")
        return
    destinations = Counter((entity or run.entity or "your own entity", project or run.project) for run in pending)
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    for (owner, name), number in destinations.items():
        say(f"{'Would upload' if dry_run else 'Uploading'} to {server}, {owner}, project {name}: {number}")
    for run in pending:
        say(f"  {run.folder}  {run.id}  {run.size / 1e6:.1f} MB")
    if dry_run:
        return
    from ftlab.trackers.wandb import has_api_key

    if not has_api_key():
        raise UserError(
            "nothing was uploaded, since no account is set: run `wandb login` with the key from "
            "https://wandb.ai/authorize, or set WANDB_API_KEY, then run ftlab sync again."
        )
    with console.status("uploading"):
        uploaded = wandb_sync.upload_runs(pending, project, entity)
    for run in pending:
        say(f"  {'uploaded' if run in uploaded else 'FAILED'}: {run.folder} {uploaded.get(run, '')}".rstrip())
    if missing := len(pending) - len(uploaded):
        raise Failed(
            f"{missing} of {len(pending)} runs were not uploaded, see the messages of W&B's client above; they "
            "are kept, and ftlab sync tries them again."
        )
