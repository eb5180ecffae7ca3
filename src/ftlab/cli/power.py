"""Command `ftlab power`: number of seeds or test examples that a comparison needs. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftlab.cli.error_messages import report_errors

if TYPE_CHECKING:
    from rich.table import Table as Grid

    from ftlab.comparison.power import PowerAnalysis, SampleSize


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
    tests: Annotated[
        int | None,
        typer.Option(
            min=1, help="Tests in the table to plan for, one for each row but the reference; default: as in this table."
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
        from ftlab.comparison.power import power_analyses, problem_of_effect
        from ftlab.core.errors import UserError
        from ftlab.core.terminal import Terminal

        if not (isfinite(effect) and effect > 0):
            raise UserError(f"--effect {effect:g} is not a valid difference: give a number above 0, such as 0.01.")
        console = Terminal()
        tables = compare([sweep], tests=False).tables
        families = [
            (table, tested)
            for table, tested in zip(tables, families_of_tables(tables, Decision(reference)), strict=True)
            if tested is not None and tested.family.contrasts
        ]
        if not families:
            raise UserError(
                f"{sweep} has no two completed rows with the same data set and model, so there is nothing to compare: "
                "run two methods on them first."
            )
        problems = [problem_of_effect(effect, tested.family.column.metric) for _, tested in families]
        if all(problems):
            raise UserError(problems[0])
        for (table, tested), problem in zip(families, problems, strict=True):
            family = tested.family
            console.print(Text(f"{table.title}: a difference of {effect:g} in test {family.column.label}", "bold"))
            if problem:
                console.print(problem, highlight=False, markup=False)
                continue
            number = tests or max(1, family.num_tests)
            analyses = power_analyses(tested, effect, number)
            console.print(_grid(analyses, family.reference))
            for sentence in (*map(_sentence, analyses), *family.notes, *_explanation(analyses, family.alpha, number)):
                console.print(sentence, highlight=False, markup=False)

    report_errors(action)


def _grid(analyses: "list[PowerAnalysis]", reference: str) -> "Grid":
    from rich.table import Table as Grid
    from rich.text import Text

    from ftlab.comparison.stats.sample_size import MAX_EXAMPLES, MAX_SEEDS

    grid = Grid()
    for heading in (f"against {reference}", "seeds", "examples", "power now", "seeds needed", "examples needed"):
        grid.add_column(heading, justify="left" if heading.startswith("against") else "right", overflow="fold")
    for analysis in analyses:
        contrast = analysis.contrast
        cells = (
            f"{contrast.seeds}",
            f"{contrast.examples:,}" if contrast.examples else "—",
            "—" if analysis.power is None else f"{analysis.power:.0%}",
            _size(analysis.seeds, MAX_SEEDS),
            _size(analysis.examples, MAX_EXAMPLES),
        )
        grid.add_row(Text(contrast.row), *cells)
    return grid


def _size(size: "SampleSize | None", largest: int) -> str:
    """Return a number with its range, as in `8 [5 to 20]`."""
    if size is None:
        return "—"
    expected, low, high = (f">{largest:,}" if n is None else f"{n:,}" for n in (size.expected, size.low, size.high))
    return expected if low == high else f"{expected} [{low} to {high}]"


def _sentence(analysis: "PowerAnalysis") -> str:
    from ftlab.comparison.stats.sample_size import MAX_EXAMPLES, MAX_SEEDS

    contrast = analysis.contrast
    if analysis.examples is None:
        return f"{contrast.row}: no estimate, since {analysis.problem}."
    least = "at least " if contrast.scope == "methods" else ""
    power = f"{least}{analysis.power:.0%}"
    now = f"{contrast.row}: a true difference of this size is detected with a probability of {power} now"
    enough_examples = analysis.examples.expected is not None
    if analysis.seeds is None:
        seeds = "the seeds that a statement about methods needs cannot be estimated from one seed each"
        examples = f"for these two trained models it takes {_size(analysis.examples, MAX_EXAMPLES)} examples"
        if not enough_examples:
            examples = f"not even {MAX_EXAMPLES:,} examples are enough for these two models"
        return f"{now}; {seeds}; {examples}."
    seeds = f"with {contrast.examples:,} examples it takes {_size(analysis.seeds, MAX_SEEDS)} seeds of each method"
    if analysis.seeds.expected is None:
        seeds = f"with {contrast.examples:,} examples not even {MAX_SEEDS:,} seeds are enough: use more examples"
    examples = f"with {contrast.seeds} seeds it takes {_size(analysis.examples, MAX_EXAMPLES)} examples"
    if not enough_examples:
        examples = f"with {contrast.seeds} seeds not even {MAX_EXAMPLES:,} examples are enough: use more seeds"
    return f"{now}; {seeds}; {examples}."


def _explanation(analyses: "list[PowerAnalysis]", alpha: float, tests: int) -> list[str]:
    """Return sentences on what the numbers are computed for, and on their ranges."""
    share = f"{alpha:g} / {tests} tests = {alpha / tests:.2g} for each" if tests > 1 else f"{alpha:g}"
    holm = ": enough for Holm's correction over the table" if tests > 1 else " (one test)"
    sentences = [f"Power 80 %, alpha {share}{holm}. For a table of more rows: --tests NUMBER."]
    if seeds := [analysis.contrast.seeds for analysis in analyses if analysis.seeds is not None]:
        sentences.append(
            f"[low to high]: what an estimate of the variance over {min(seeds)} seeds leaves open (80 % interval); "
            "the power is that of its worse end."
        )
    return sentences
