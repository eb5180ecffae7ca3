"""Pilot of a race: what the finished runs of a table say about its cost and its chance of an answer."""

from collections import defaultdict

from ftlab.comparison.hypothesis_tests import measure_row
from ftlab.comparison.predictions import UnusablePredictions, shared_contributions
from ftlab.comparison.stats.race_plan import RacePlan, pilot_assumptions, plan_race
from ftlab.comparison.stats.race_rules import Goal, RaceRules
from ftlab.comparison.stats.variance import Array
from ftlab.comparison.tables import Table
from ftlab.core.errors import UserError


def plan_from_pilot(table: Table, goal: Goal, margin: float, max_seeds: int) -> tuple[RacePlan, RaceRules]:
    """Return what a race of the table's rows would probably cost and find, and its rules.

    Args:
        table: finished runs, at least 2 rows with 2 common seeds, and a metric of which the examples are known.
        goal: of the race.
        margin: in the unit of the table's first metric, above 0.
        max_seeds: largest number of seeds per row.

    Raises:
        UserError: the pilot has too few rows, seeds or predictions, or the rules are not possible.
    """
    values = _contributions(table)
    rules = RaceRules(methods=tuple(values), goal=goal, margin=margin, max_seeds=max_seeds)
    return plan_race(rules, pilot_assumptions(values)), rules


def _contributions(table: Table) -> dict[str, Array]:
    """Return row -> contributions of the examples to the first metric, higher is better, (seeds, examples)."""
    column = table.columns[0]
    problems: dict[str, list[str]] = defaultdict(list)
    rows = [measure_row(row, column.metric, problems) for row in table.rows]
    rows = [row for row in rows if len(row.predictions) > 1]
    seeds = sorted(set(rows[0].predictions).intersection(*(row.predictions for row in rows))) if rows else []
    if len(rows) < 2 or len(seeds) < 2:
        why = f": {next(iter(problems))}" if problems else ""
        raise UserError(
            f"{table.title} is no pilot of a race: it needs two rows with predictions of two common seeds{why}; run "
            "python train.py -m method=A,B seed=0,1 first."
        )
    runs = [row.predictions[seed] for row in rows for seed in seeds]
    try:
        stacked, ids = shared_contributions(runs)
    except (UnusablePredictions, ValueError) as error:
        raise UserError(f"{table.title} is no pilot of a race: {error}.") from error
    values = stacked.reshape(len(rows), len(seeds), len(ids))
    sign = 1.0 if column.higher_is_better else -1.0
    return {row.row: sign * matrix for row, matrix in zip(rows, values, strict=True)}
