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
from ftlab.errors import ConfigError, Failed, UserError
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
    _telling_errors(lambda: _through_hydra(arguments, _run_single))


def _through_hydra(arguments: list[str], act: Callable[[RunConfig], None]) -> None:
    """Do what `hydra.main` does, which wants flags before overrides, and arguments that are not behind a subcommand."""
    from hydra import version
    from hydra._internal.utils import _run_hydra, get_args_parser

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's exceptions come through: they are told in one sentence here
    version.setbase("1.3")
    parser = get_args_parser()
    parsed = parser.parse_intermixed_args(arguments)
    single: list[DictConfig] = []  # with -m the launcher runs the jobs, and this stays empty
    with tempfile.TemporaryDirectory() as scratch:  # for the multirun.yaml that a sweeper writes before any check
        if parsed.multirun:
            parsed.overrides = _with_swept_groups(parsed.overrides)
        parsed.overrides.insert(0, f"hydra.sweep.dir='{scratch}'")
        task = _refuse_other_launchers if parsed.multirun else single.append
        _run_hydra(parsed, parser, task, config_path=str(conf_dir()), config_name="train")
    for config in single:
        chosen = [text for text in parsed.overrides if text.startswith("hydra/launcher=")]
        if chosen and chosen[-1] != "hydra/launcher=local":
            raise ConfigError(f"{chosen[-1]} has no effect without -m: add -m, for one job too.")
        act(resolve(config))


def _refuse_other_launchers(_: DictConfig) -> None:
    """Stand where a launcher puts its own way of running a job: ftlab's launchers never come here."""
    raise ConfigError(
        "this hydra/launcher would not keep the processes of several jobs apart: use local, submitit_slurm or ray."
    )


def _with_swept_groups(overrides: list[str]) -> list[str]:
    """Have Hydra put settings of a swept group to each job's choice: `method=prefix,prompt method.frozen=true`.

    It would put them to the default choice first, which may not have them. As a sweep over one value they wait.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(overrides)
    swept = tuple(f"{one.key_or_group}." for one in parsed if one.is_sweep_override() and "." not in one.key_or_group)
    return [
        f"{text.partition('=')[0]}=choice({text.partition('=')[2]})"
        if one.key_or_group.startswith(swept) and not one.is_sweep_override() and not one.is_delete()
        else text
        for text, one in zip(overrides, parsed, strict=True)
    ]


def _run_single(config: RunConfig) -> None:
    """Run one experiment: a sweep of one."""
    from ftlab.launch.local import LocalExecutor
    from ftlab.sweep import JobsFailed, run_sweep

    records = run_sweep([config], Path(config.sweep.dir), LocalExecutor(at_once=1))
    if any(record.status != "completed" for record in records):
        raise JobsFailed("the job did not complete: see the table above.")


def _telling_errors(action: Callable[[], None]) -> None:
    """Run `action`; turn what the user can mend into one sentence and an exit status."""
    from hydra.errors import HydraException

    from ftlab.sweep import Interrupted

    try:
        action()
    except Failed as error:
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
    from ftlab.cli_data import preview

    _telling_errors(lambda: preview(overrides or [], rows, _through_hydra))


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


@app.command("status")
def _status(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep, e.g. outputs/NAME.")],
) -> None:
    """Show how far every run of a sweep is: from its records and, on a cluster, from the queue."""

    def action() -> None:
        from rich.console import Console

        from ftlab.launch.status import status_table

        Console().print(status_table(sweep))

    _telling_errors(action)


_Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run, e.g. outputs/SWEEP/RUN")]
_Trust = Annotated[bool, typer.Option("--trust", help="Let the run's folder name code of others, and run it.")]


@app.command(
    "export",
    epilog="ftlab export outputs/SWEEP/RUN --to adapter\n\nftlab export outputs/SWEEP/RUN --to model --merge",
)
def _export(
    run: _Run,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to make.")],
    merge: Annotated[bool, typer.Option("--merge", help="Fold the adapter into the base: one whole model.")] = False,
    base: Annotated[
        bool | None,
        typer.Option("--base/--no-base", help="Write the base beside an adapter; default: if it is from a wheel."),
    ] = None,
    trust: _Trust = False,
) -> None:
    """Write what a run trained for other libraries, prove that it loads, and print how.

    LoRA, prefixes and other PEFT methods become a PEFT adapter; methods that train the base's own parameters (full,
    partial, bitfit …) become a Transformers model, and so does an adapter with --merge.
    """
    _telling_errors(lambda: _exported(run, to, merge, base, trust))


def _exported(directory: Path, to: Path, merge: bool, base: bool | None, trust: bool) -> None:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.print(f"  reading {directory}", markup=False, soft_wrap=True)  # what follows takes seconds to import
    from ftlab.deploy.exporting import export
    from ftlab.deploy.finished import read_run
    from ftlab.job import silence_libraries

    silence_libraries()
    code = export(
        read_run(directory, trust=trust),
        to,
        merge=merge,
        with_base=base,
        say=lambda sentence: console.print(f"  {sentence}", markup=False, soft_wrap=True),
    )
    console.print(f"{to} is written; this loads it:", markup=False, soft_wrap=True)
    print(code)


@app.command(
    "predict",
    epilog='ftlab predict outputs/SWEEP/RUN --text "The team won the cup final."\n\n'
    "ftlab predict outputs/SWEEP/RUN --file news.csv --output answers.csv",
)
def _predict(
    run: _Run,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A text or prompt; may be given several times.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="csv, tsv, json, jsonl or parquet with the run's columns; txt: a text a line."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="csv, jsonl or parquet; default: the terminal, JSON lines for --file."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Most tokens that a language model writes.")] = 128,
    trust: _Trust = False,
) -> None:
    """Answer from a finished run: the class of a text, its labels or numbers, or what a language model writes."""
    _telling_errors(lambda: _answered(run, text or [], file, output, max_new_tokens, trust))


def _answered(
    directory: Path, texts: list[str], file: Path | None, output: Path | None, max_new_tokens: int, trust: bool
) -> None:
    if bool(texts) == (file is not None):
        raise UserError("give either --text, as often as you like, or --file.")
    from rich.console import Console
    from rich.progress import Progress

    from ftlab.deploy import answers, questions
    from ftlab.deploy.finished import read_run
    from ftlab.deploy.predicting import predict
    from ftlab.job import silence_libraries

    silence_libraries()
    if output is not None:
        answers.check_name(output)
    run = read_run(directory, trust=trust)
    dataset = run.config.dataset
    rows = questions.from_texts(texts, dataset) if file is None else questions.from_file(file, dataset)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"loading {run.config.model.name}", total=None)
        base = run.base()
        progress.update(task, description="answering", total=len(rows))
        found = predict(run, base, rows, max_new_tokens=max_new_tokens, advance=lambda n: progress.advance(task, n))
    if output is not None:
        answers.write_file(found, output)
    elif file is None:
        answers.show(texts, found, Console())
    else:
        answers.write_lines(found, sys.stdout)


def main() -> None:
    """Entry point of the console command."""
    sys.argv[0] = "ftlab"  # records keep the command: of `python -m ftlab` too, one that can be typed
    app()
