"""The command line: `train.py` (Hydra) and the console command `ftlab` (typer). Imports no torch."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import yaml
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ftlab.composition import explain, resolve
from ftlab.errors import UserError
from ftlab.paths import conf_dir
from ftlab.schema import RunConfig

NOTHING_STARTED, SOMETHING_FAILED = 2, 1  # exit statuses

app = typer.Typer(
    help="Fine-tuning methods side by side: which one for my model, my data and my hardware, and how sure am I?",
    no_args_is_help=True,
    add_completion=False,
)


def train(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for: one experiment, or with `-m` one per combination, and compare them."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        from ftlab import cli_help

        cli_help.show(conf_dir())
        return
    _telling_errors(lambda: _through_hydra(arguments))


def _through_hydra(arguments: list[str]) -> None:
    """Do what `hydra.main` does, which wants flags before overrides, and arguments that are not behind a subcommand."""
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's exceptions come through: they are told in one sentence here
    version.setbase("1.3")
    parser = get_args_parser()
    parsed = parser.parse_intermixed_args(arguments)
    single: list[DictConfig] = []  # with -m the launcher runs the jobs, and this stays empty
    with tempfile.TemporaryDirectory() as scratch:  # for the multirun.yaml that a sweeper writes before any check
        parsed.overrides.insert(0, f"hydra.sweep.dir='{scratch}'")
        _run_hydra(parsed, parser, single.append, config_path=str(conf_dir()), config_name="train")
    for config in single:
        _run_single(resolve(config))


def _run_single(config: RunConfig) -> None:
    """Run one experiment: a sweep of one."""
    from ftlab.sweep import JobsFailed, run_sweep

    records = run_sweep([config], Path(config.sweep.dir))
    if any(record.status != "completed" for record in records):
        raise JobsFailed("the job did not complete: see the table above.")


def _telling_errors(action: Callable[[], None]) -> None:
    """Run `action`; turn what the user can mend into one sentence and an exit status."""
    from hydra.errors import HydraException

    from ftlab.sweep import Interrupted, JobsFailed

    try:
        action()
    except JobsFailed as error:
        _stop(str(error), SOMETHING_FAILED)
    except Interrupted as error:
        _stop(f"{error}.", 128 + error.signum)
    except UserError as error:
        _stop(str(error), NOTHING_STARTED)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        _stop(explain(error), NOTHING_STARTED)
    except OSError as error:
        if error.filename is None:  # no file of the user's: a bug
            raise
        _stop(f"cannot use {error.filename}: {error.strerror}.", NOTHING_STARTED)


def _stop(sentence: str, status: int) -> None:
    typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    sys.exit(status)


@app.command(
    "train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def _train(context: typer.Context) -> None:
    """Run one experiment, or a comparison with -m: the same as `python train.py`. See `ftlab train --help`."""
    train(context.args)


@app.command("compare")
def _compare(
    folders: Annotated[list[Path], typer.Argument(help="Sweeps or runs, e.g. outputs/2026-01-31_12-00-00.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the files; default: the first one.")
    ] = None,
) -> None:
    """Rebuild the comparison of finished runs: table, comparison.md, comparison.csv and report.html."""

    def action() -> None:
        from rich.console import Console

        from ftlab.sweep import report

        report(folders, output or folders[0], Console())

    _telling_errors(action)


def main() -> None:
    """Entry point of the console command."""
    sys.argv[0] = "ftlab"  # records keep the command: of `python -m ftlab` too, one that can be typed
    app()
