"""Command `ftlab power`: number of seeds or test examples that a comparison needs. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftlab.cli.error_messages import report_errors

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from ftlab.comparison.power import PowerAnalysis


app = typer.Typer()


@app.command("power")
def _power(
    sweep: Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep, e.g. outputs/NAME.")],
    effect: Annotated[
        float, typer.Option(help="Difference to detect, in the metric's unit: 0.01 is one point of accuracy.")
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD", help="The method that others are tested against; default: full, or the first by name."
        ),
    ] = None,
) -> None:
    """Estimate how many seeds or test examples detect a difference of a given size with 80 % power."""

    def action() -> None:
        from math import isfinite

        from rich.text import Text

        from ftlab.comparison import compare
        from ftlab.comparison.declared import Decision
        from ftlab.comparison.hypothesis_tests import families_of_tables
        from ftlab.comparison.power import power_analyses
        from ftlab.core.errors import UserError
        from ftlab.core.terminal import Terminal

        if not (isfinite(effect) and effect > 0):
            raise UserError(f"--effect {effect:g} is not a valid difference: give a number above 0, such as 0.01.")
        console = Terminal()
        tables = compare([sweep], tests=False).tables
        any_tested = False
        for table, tested in zip(tables, families_of_tables(tables, Decision(reference)), strict=True):
            if tested is None or not tested.family.contrasts:
                continue
            any_tested = True
            family = tested.family
            analyses = power_analyses(tested, effect)
            console.print(Text(f"{table.title}: a difference of {effect:g} in test {family.column.label}", "bold"))
            console.print(_grid(analyses, family.reference))
            for sentence in (*map(_sentence, analyses), *family.notes, _caveat(analyses, family.alpha)):
                console.print(sentence, highlight=False, markup=False)
        if not any_tested:
            raise UserError(
                f"{sweep} has no two completed rows with the same data set and model, so there is nothing to compare: "
                "run two methods on them first."
            )

    report_errors(action)


def _grid(analyses: "list[PowerAnalysis]", reference: str) -> "Grid":
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid()
    for heading in (f"against {reference}", "seeds", "examples", "power now", "seeds needed", "examples needed"):
        grid.add_column(heading, justify="left" if heading.startswith("against") else "right", overflow="fold")
    for analysis in analyses:
        contrast = analysis.contrast
        cells = (
            f"{contrast.seeds}",
            f"{contrast.examples:,}" if contrast.examples else "—",
            "—" if analysis.power is None else f"{analysis.power:.0%}",
            "—" if analysis.seeds is None else f"{analysis.seeds:,}",
            "—" if analysis.examples is None else f"{analysis.examples:,}",
        )
        grid.add_row(Text(contrast.row), *cells)
    return grid


def _sentence(analysis: "PowerAnalysis") -> str:
    from ftlab.comparison.power import MAX_EXAMPLES, MAX_SEEDS

    contrast = analysis.contrast
    if analysis.power is None:
        reason = contrast.note or "predictions are missing"
        return f"{contrast.row}: no estimate, since variances over examples are not known ({reason})."
    now = f"{contrast.row}: a true difference of this size is detected with a probability of {analysis.power:.0%} now"
    if contrast.scope == "trained models":
        seeds = "the seeds that a statement about methods needs cannot be estimated from one seed each"
    elif analysis.seeds is None:
        seeds = f"with {contrast.examples:,} examples not even {MAX_SEEDS:,} seeds are enough: use more examples"
    else:
        seeds = f"with {contrast.examples:,} examples it takes {analysis.seeds} seeds of each method"
    if analysis.examples is None:
        examples = (
            f"with {contrast.seeds} seeds not even {MAX_EXAMPLES:,} examples are enough: use more seeds"
            if contrast.scope == "methods"
            else f"not even {MAX_EXAMPLES:,} examples are enough for these two models"
        )
    elif contrast.scope == "methods":
        examples = f"with {contrast.seeds} seeds it takes {analysis.examples:,} examples"
    else:
        examples = f"for these two trained models it takes {analysis.examples:,} examples"
    return f"{now}; {seeds}; {examples}."


def _caveat(analyses: "list[PowerAnalysis]", alpha: float) -> str:
    seeds = min(analysis.contrast.seeds for analysis in analyses)
    rough = f" Variances from {seeds} seeds are rough estimates: plan with some more." if 1 < seeds < 10 else ""
    return f"Power 80 %, alpha {alpha:g} for each test, before Holm's correction.{rough}"
