"""Command `ftlab advise`: recommendation of a method within limits, from measured runs. Imports no torch."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.table import Table as Grid
from rich.text import Text

from ftlab.cli.error_messages import report_errors
from ftlab.cli.runs import MarginOption
from ftlab.comparison.advice import COLLAPSES, FAILURES, PREFERENCES, Advice, Limits
from ftlab.comparison.comparability import parse_allowed
from ftlab.core.atomic import write_text
from ftlab.core.errors import UserError, did_you_mean
from ftlab.core.terminal import Terminal

app = typer.Typer()


@app.command(
    "advise",
    epilog="ftlab advise outputs/SWEEP --max-memory 16GB --max-minutes 60 --min-accuracy 0.9\n\n"
    "Another metric: ftlab advise outputs/SWEEP --at-least macro_f1=0.8 --at-most loss=0.5\n\n"
    "A table of several sweeps: ftlab advise outputs/A outputs/B --table outputs/decisions.md",
)
def _advise(
    folders: Annotated[list[Path], typer.Argument(metavar="SWEEP...", help="Folders of sweeps or runs.")],
    max_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Maximum memory of training: 16GB, 800MB.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Maximum minutes of a run, with set-up, evaluation and tuning.")
    ] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="Minimum test accuracy.")] = None,
    at_least: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Minimum of a test metric; repeatable.")
    ] = None,
    at_most: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Maximum of a test metric; repeatable.")
    ] = None,
    prefer: Annotated[
        str, typer.Option(help=f"Which cost decides between equally good methods: {', '.join(PREFERENCES)}.")
    ] = "time",
    margin: MarginOption = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="Differences with which rows are tested all the same, see ftlab compare --help; and "
            f"{FAILURES}, {COLLAPSES}: rows are advised although some of their runs failed or collapsed."
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md", help="Write the advice of each sweep to a decision table: by time, memory and disk."
        ),
    ] = None,
) -> None:
    """Recommend the cheapest method shown to be as good as the best within a margin; or tell what evidence is missing.

    The advice holds for what was measured: these data, this model, this machine, this budget.
    """

    def action() -> None:
        minima = [_bound(text, "--at-least") for text in at_least or []]
        if min_accuracy is not None:
            minima.append(("accuracy", min_accuracy))
        if prefer not in PREFERENCES:
            raise UserError(f"--prefer {prefer} does not exist: {did_you_mean(prefer, PREFERENCES)}.")
        limits = Limits(
            memory_bytes=None if max_memory is None else _bytes(max_memory),
            minutes=max_minutes,
            at_least=tuple(minima),
            at_most=tuple(_bound(text, "--at-most") for text in at_most or []),
            prefer=prefer,
            margin=margin,
            allow=parse_allowed(allow or [], (FAILURES, COLLAPSES)),
        )
        if table is None:
            _print_advice(folders, limits)
        else:
            _write_table(table, folders, limits)

    report_errors(action)


def _bytes(text: str) -> float:
    try:
        return float(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UserError(f"--max-memory {text} is not a size: write 16GB or 800MB.") from None


def _bound(text: str, option: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UserError(f"{option} {text} is not METRIC=VALUE: write {option} macro_f1=0.8.") from None


def _print_advice(folders: list[Path], limits: Limits) -> None:
    from ftlab.comparison import compare
    from ftlab.comparison.advice import advise
    from ftlab.comparison.hypothesis_tests import family_of_rows

    console = Terminal(highlight=False)
    for table in compare(folders, margin=limits.margin, allow=limits.allow).tables:
        if table.untested:
            console.print(Text(f"{table.title}: no answer, and {table.untested}"))
            continue
        advice = advise(table, limits, partial(family_of_rows, table, margin=limits.margin, allow=limits.allow))
        console.print(Text(table.title, style="bold"))
        for sentence in advice.reasons:
            console.print(Text(sentence))
        for run in table.unfinished:
            if run.record.has_failed:
                console.print(Text(f"Left out: {run.label}, {run.outcome}"))
        console.print(_evidence(advice))


def _write_table(path: Path, folders: list[Path], limits: Limits) -> None:
    from ftlab.comparison.render.decision_table import collect_situations, decision_table

    situations = collect_situations(folders, limits)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, decision_table(situations, path.parent))
    Terminal(highlight=False).print(Text(f"{path}: {len(situations)} situations"))


def _evidence(advice: Advice) -> Grid:
    grid = Grid("row", "seeds", "within limits", "evidence", "runs", box=None, pad_edge=False)
    for assessment in advice.assessments:
        row = assessment.row
        evidence = "; ".join(sentence for _, sentence in assessment.evidence) or "no limits given"
        runs = ", ".join(run.folder.name for run in row.runs)
        cells = (row.label, str(len(row.runs)), assessment.status, evidence, runs)
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
