"""`ftlab power`: how many seeds or test examples a comparison needs. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftlab.cli.telling import telling_errors

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from ftlab.compare.planning import Plan

app = typer.Typer()


@app.command("power")
def _power(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep, e.g. outputs/NAME.")],
    effect: Annotated[
        float, typer.Option(help="Difference worth finding, in the metric's own unit: 0.01 is one point of accuracy.")
    ],
    reference: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Held against whom; default: full, or the first by name.")
    ] = None,
) -> None:
    """Tell how many seeds or test examples it takes to find a difference of a given size with 80 % power."""

    def action() -> None:
        from math import isfinite

        from rich.console import Console
        from rich.text import Text

        from ftlab.compare import compare
        from ftlab.compare.families import family_of_each
        from ftlab.compare.planning import plans
        from ftlab.errors import UserError

        if not (isfinite(effect) and effect > 0):
            raise UserError(f"--effect {effect:g} is no size of a difference: give one above 0, such as 0.01.")
        console = Console()
        tables = compare([sweep], tests=False).tables
        found = False
        for table, tested in zip(tables, family_of_each(tables, reference), strict=True):
            if tested is None or not tested.family.contrasts:
                continue
            found = True
            family = tested.family
            made = plans(tested, effect)
            console.print(Text(f"{table.title}: a difference of {effect:g} in test {family.column.label}", "bold"))
            console.print(_grid(made, family.reference))
            for sentence in (*map(_sentence, made), *family.notes, _caveat(made, family.alpha)):
                console.print(sentence, highlight=False, markup=False)
        if not found:
            raise UserError(f"{sweep} has no two completed rows of one data set and model: nothing can be told apart.")

    telling_errors(action)


def _grid(plans: "list[Plan]", reference: str) -> "Grid":
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid()
    for heading in (f"against {reference}", "seeds", "examples", "power now", "seeds needed", "examples needed"):
        grid.add_column(heading, justify="left" if heading.startswith("against") else "right", overflow="fold")
    for plan in plans:
        contrast = plan.contrast
        cells = (
            f"{contrast.seeds}",
            f"{contrast.examples:,}" if contrast.examples else "—",
            "—" if plan.power is None else f"{plan.power:.0%}",
            "—" if plan.seeds is None else f"{plan.seeds:,}",
            "—" if plan.examples is None else f"{plan.examples:,}",
        )
        grid.add_row(Text(contrast.row), *cells)
    return grid


def _sentence(plan: "Plan") -> str:
    from ftlab.compare.planning import MOST_EXAMPLES, MOST_SEEDS

    contrast = plan.contrast
    if plan.power is None:
        why = contrast.note or "predictions are missing"
        return f"{contrast.row}: cannot be told, since variances over examples are not known ({why})."
    now = f"{contrast.row}: a true difference of this size is found with a chance of {plan.power:.0%} now"
    if contrast.scope == "trained models":
        seeds = "how many seeds a statement about methods needs cannot be told from one seed each"
    elif plan.seeds is None:
        seeds = f"with {contrast.examples:,} examples not even {MOST_SEEDS:,} seeds would do: the examples are too few"
    else:
        seeds = f"with {contrast.examples:,} examples it takes {plan.seeds} seeds of each method"
    if plan.examples is None:
        examples = (
            f"with {contrast.seeds} seeds not even {MOST_EXAMPLES:,} examples would do: the seeds are too few"
            if contrast.scope == "methods"
            else f"not even {MOST_EXAMPLES:,} examples would do for these two models"
        )
    elif contrast.scope == "methods":
        examples = f"with {contrast.seeds} seeds it takes {plan.examples:,} examples"
    else:
        examples = f"for these two trained models it takes {plan.examples:,} examples"
    return f"{now}; {seeds}; {examples}."


def _caveat(plans: "list[Plan]", alpha: float) -> str:
    fewest = min(plan.contrast.seeds for plan in plans)
    known = f" Variances known from {fewest} seeds are rough: plan with some more." if 1 < fewest < 10 else ""
    return f"Power 80 %, alpha {alpha:g} for each test, before Holm's correction.{known}"
