"""Console command `ftlab` with its subcommands; `train.py` runs `train` without importing the others."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ftlab.cli import (
    advise,
    dashboard,
    finished,
    imports,
    init,
    listing,
    power,
    race,
    removal,
    rerun,
    runs,
    sync,
)
from ftlab.cli.completion import complete_flags, complete_overrides
from ftlab.cli.error_messages import report_errors
from ftlab.cli.training import train
from ftlab.cli.versions import print_versions

app = typer.Typer(
    help="Compare fine-tuning methods: which one suits my model, my data and my hardware, and how sure is that?",
    no_args_is_help=True,
)


def _print_versions(requested: bool) -> None:
    if requested:
        print_versions()
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_versions, is_eager=True, help="Print the versions of ftlab and others."
        ),
    ] = False,
) -> None:
    """Take the options of `ftlab` itself."""


class _TrainCommand(TyperCommand):
    """Command whose flags are Hydra's."""

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the flags that typer does not know."""
        return complete_flags(incomplete)


@app.command("train", cls=_TrainCommand, context_settings={"ignore_unknown_options": True, "help_option_names": []})
def _train(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="OVERRIDE", autocompletion=complete_overrides)
    ] = None,
) -> None:
    """Run one experiment, or a comparison with -m: the same as `python train.py`. See `ftlab train --help`."""
    train(overrides or [])


@app.command(
    "data",
    context_settings={"ignore_unknown_options": True},
    epilog="Your own file: ftlab data dataset=text_files dataset.source.train=reviews.csv\n\n"
    "The tokens with a loss: ftlab data dataset=chatterbot model=smollm2-135m --rows 10\n\n"
    "All rows, as a method without training sees them: "
    "ftlab data dataset=bbc_news budget=epochs3 method=zero_shot model=smollm2-135m",
)
def _data(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="OVERRIDE", help="GROUP=CHOICE or KEY=VALUE.", autocompletion=complete_overrides),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Number of training rows to show.")] = 3,
) -> None:
    """Show a data set before training: rows as the model sees them, lengths, labels, duplicates, bad rows.

    Takes the same overrides as `ftlab train`. Loads only the tokenizer of the model, and creates no run.
    """
    from ftlab.cli.data import preview
    from ftlab.cli.hydra_command import run_with_hydra

    report_errors(lambda: preview(overrides or [], rows, run_with_hydra))


app.add_typer(init.app)
app.add_typer(runs.app)
app.add_typer(finished.app)
app.add_typer(power.app)
app.add_typer(race.app)
app.add_typer(advise.app)
app.add_typer(listing.app)
app.add_typer(sync.app)
app.add_typer(dashboard.app)
app.add_typer(rerun.app)
app.add_typer(removal.app)
app.add_typer(imports.app)


def main() -> None:
    """Run the console command."""
    sys.argv[0] = "ftlab"  # records keep the command, and it should work when typed again, also for `python -m ftlab`
    app(prog_name="ftlab")
