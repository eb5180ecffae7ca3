"""`ftlab advise`: which method to take within limits, answered from measured runs. Imports no torch."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ftlab.cli.telling import telling_errors
from ftlab.compare.advice import PREFERENCES, Advice, Limits
from ftlab.compare.comparability import allowed
from ftlab.errors import UserError, did_you_mean

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
        str | None, typer.Option(metavar="SIZE", help="Most memory that training may take: 16GB, 800MB.")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Most minutes of a run: set-up, evaluation, tuning included.")
    ] = None,
    min_accuracy: Annotated[float | None, typer.Option(help="Lowest test accuracy that will do.")] = None,
    at_least: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Lowest value of a test metric; repeatable.")
    ] = None,
    at_most: Annotated[
        list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Highest value of a test metric; repeatable.")
    ] = None,
    prefer: Annotated[str, typer.Option(help=f"What decides between equals: {', '.join(PREFERENCES)}.")] = "time",
    allow: Annotated[
        list[str] | None, typer.Option(help="What rows may differ in and still be tested; see ftlab compare --help.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Write what each sweep says to a decision table: by time, memory, disk."),
    ] = None,
) -> None:
    """Say which method to take within limits, with the evidence, or that the evidence is too thin to say.

    Speaks of what was measured: these data, this model, this machine, this budget.
    """

    def action() -> None:
        least = [_bound(text, "--at-least") for text in at_least or []]
        if min_accuracy is not None:
            least.append(("accuracy", min_accuracy))
        if prefer not in PREFERENCES:
            raise UserError(f"--prefer {prefer} is not known: {did_you_mean(prefer, PREFERENCES)}.")
        limits = Limits(
            memory_bytes=None if max_memory is None else _bytes(max_memory),
            minutes=max_minutes,
            at_least=tuple(least),
            at_most=tuple(_bound(text, "--at-most") for text in at_most or []),
            prefer=prefer,
        )
        if table is None:
            _answer(folders, limits, allowed(allow or []))
        else:
            _write_table(table, folders, limits, allowed(allow or []))

    telling_errors(action)


def _bytes(text: str) -> float:
    try:
        return float(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise UserError(f"--max-memory {text} is no size: write 16GB or 800MB.") from None


def _bound(text: str, option: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UserError(f"{option} {text} is not METRIC=VALUE: write {option} macro_f1=0.8.") from None


def _answer(folders: list[Path], limits: Limits, allow: frozenset[str]) -> None:
    from ftlab.compare import compare
    from ftlab.compare.advice import advise
    from ftlab.compare.families import family_of

    console = Console(highlight=False)
    for table in compare(folders, allow=allow).tables:
        advice = advise(table, limits, partial(family_of, table, allow=allow))
        console.print(Text(table.title, style="bold"))
        for sentence in advice.reasons:
            console.print(Text(sentence))
        console.print(_evidence(advice))


def _write_table(path: Path, folders: list[Path], limits: Limits, allow: frozenset[str]) -> None:
    from ftlab.compare.decisions import decision_table, situations
    from ftlab.compare.files import write_text

    found = situations(folders, limits, allow)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, decision_table(found, path.parent))
    Console(highlight=False).print(Text(f"{path}: {len(found)} situations"))


def _evidence(advice: Advice) -> Grid:
    grid = Grid("row", "seeds", "within limits", "evidence", "runs", box=None, pad_edge=False)
    for one in advice.judged:
        evidence = "; ".join(told for _, told in one.findings) or "no limits given"
        runs = ", ".join(run.folder.name for run in one.row.runs)
        cells = (one.row.label, str(len(one.row.runs)), one.verdict, evidence, runs)
        grid.add_row(*(Text(cell) for cell in cells))
    return grid
