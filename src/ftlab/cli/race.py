"""Command `ftlab race`: what a race would cost and find, from a pilot of two or more seeds. Imports no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftlab.cli.error_messages import report_errors
from ftlab.cli.runs import MarginOption
from ftlab.comparison.stats.race_rules import LOOKS, Goal

if TYPE_CHECKING:
    from ftlab.comparison.stats.race_plan import RacePlan
    from ftlab.comparison.tables import Table

app = typer.Typer()


@app.command("race", epilog="ftlab race outputs/PILOT --goal best --margin 0.01 --max-seeds 10")
def _race(
    pilot: Annotated[Path, typer.Argument(metavar="SWEEP", help="A sweep with two or more seeds per method.")],
    goal: Annotated[
        Goal,
        typer.Option(
            help="best: the best stays; strict: no method that equals it is dropped either; ranking: every pair is "
            "ordered, or found alike."
        ),
    ] = "best",
    margin: MarginOption = None,
    max_seeds: Annotated[
        int, typer.Option(min=LOOKS[0], max=LOOKS[-1], help="Largest number of seeds of each method.")
    ] = LOOKS[-1],
) -> None:
    """Estimate what a race would cost and find: seeds are added in looks, and methods that cannot be best stop.

    It plans; nothing trains, and there is no sweeper yet that races. The estimate simulates the race with the
    differences and the scatter of the pilot, shrunk towards each other.
    """

    def action() -> None:
        from rich.text import Text

        from ftlab.comparison import compare
        from ftlab.comparison.declared import declared_decision, margin_value
        from ftlab.comparison.race_pilot import plan_from_pilot
        from ftlab.core.errors import UserError
        from ftlab.core.terminal import Terminal

        console = Terminal(highlight=False)
        for table in compare([pilot], tests=False).tables:
            if not table.columns:
                raise UserError(f"{table.title} names no metric, so there is nothing to race on.")
            metric = table.columns[0].metric
            value = margin_value(declared_decision(table).margin if margin is None else margin, metric)
            if value is None:
                raise UserError(f"--margin is missing: {metric} has no default; give one in its unit.")
            plan, rules = plan_from_pilot(table, goal, value, max_seeds)
            console.print(Text(f"{table.title}: a race to {_GOALS[goal]} within {value:g} of test {metric}", "bold"))
            for sentence in _sentences(plan, table, len(rules.methods), max_seeds):
                console.print(Text(sentence))

    report_errors(action)


_GOALS = {
    "best": "the best method",
    "strict": "the best method and its equals",
    "ranking": "the order of all pairs",
}


def _sentences(plan: "RacePlan", table: "Table", methods: int, max_seeds: int) -> list[str]:
    from ftlab.comparison.formats import format_duration, name_some

    sentences = [
        f"{plan.runs:.0f} runs on average, {plan.few:.0f} to {plan.many:.0f} in 8 of 10 races, instead of {plan.grid} "
        f"of the full grid ({methods} methods, {max_seeds} seeds): {plan.runs / plan.grid:.0%} of it."
    ]
    costs = {row.label: row.over_seeds(lambda run: run.run_s) for row in table.rows}
    means = {name: cost.mean for name, cost in costs.items() if cost and name in plan.seeds}
    if len(means) == methods:
        expected = format_duration(sum(plan.seeds[name] * mean for name, mean in means.items()))
        full = format_duration(sum(max_seeds * mean for mean in means.values()))
        sentences.append(f"About {expected} of runs one after the other, instead of {full}.")
    if plan.stays:
        by_chance = sorted(plan.stays.items(), key=lambda pair: -pair[1])
        sentences.append(f"It ends with an answer in {plan.answered:.0%} of cases.")
        sentences.append(f"To the end stay: {name_some([f'{name} {chance:.0%}' for name, chance in by_chance], 8)}.")
    else:
        sentences.append(f"It decides {plan.decided:.0%} of all pairs on average.")
    return sentences
