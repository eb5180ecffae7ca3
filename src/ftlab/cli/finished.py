"""Commands that take up a finished run: `export` and `predict`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.telling import telling_errors
from ftlab.errors import UserError

app = typer.Typer()

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
    telling_errors(lambda: _exported(run, to, merge, base, trust))


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
    telling_errors(lambda: _answered(run, text or [], file, output, max_new_tokens, trust))


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
