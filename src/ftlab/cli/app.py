"""The console command `ftlab`, of which `train` is one part; `train.py` begins without the others."""

import sys
from typing import Annotated

import typer

from ftlab.cli import advise, finished, listing, power, runs, sync
from ftlab.cli.telling import telling_errors
from ftlab.cli.training import through_hydra, train

app = typer.Typer(
    help="Fine-tuning methods side by side: which one for my model, my data and my hardware, and how sure am I?",
    no_args_is_help=True,
    add_completion=False,
)


@app.command(
    "train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def _train(context: typer.Context) -> None:
    """Run one experiment, or a comparison with -m: the same as `python train.py`. See `ftlab train --help`."""
    train(context.args)


@app.command(
    "data",
    context_settings={"ignore_unknown_options": True},
    epilog="A table of yours: ftlab data dataset=text_files dataset.source.train=reviews.csv\n\n"
    "What a language model learns of it: ftlab data dataset=chatterbot model=smollm2-135m --rows 10\n\n"
    "As a run without bounds reads it: ftlab data dataset=bbc_news budget=epochs3 method=zero_shot model=smollm2-135m",
)
def _data(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="OVERRIDE", help="GROUP=CHOICE or KEY=VALUE.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Training rows that are shown.")] = 3,
) -> None:
    """Look at a data set before any training: rows as the model sees them, lengths, labels, duplicates, bad rows.

    Takes what `ftlab train` takes. Of the model only the tokenizer is loaded, and no run is made.
    """
    from ftlab.cli.data import preview

    telling_errors(lambda: preview(overrides or [], rows, through_hydra))


app.add_typer(runs.app)
app.add_typer(finished.app)
app.add_typer(power.app)
app.add_typer(advise.app)
app.add_typer(listing.app)
app.add_typer(sync.app)


def main() -> None:
    """Entry point of the console command."""
    sys.argv[0] = "ftlab"  # records keep the command: of `python -m ftlab` too, one that can be typed
    app()
