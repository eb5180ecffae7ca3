"""Training plans of a table's rows as one sentence for its head: rows, lengths, steps and budget."""

from collections import defaultdict

from ftlab.comparison.formats import name_some
from ftlab.comparison.tables import Table

_MAX_PLANS = 3  # different ones that are named


def training_plans(table: Table) -> str:
    """Return on what the rows were trained and for how long; empty if nothing trained, or the records are older."""
    rows_by_plan: dict[str, list[str]] = defaultdict(list)
    for run in table.runs:
        if plan := run.record.training_plan:
            rows_by_plan[str(plan)].append(run.label)
    if len(rows_by_plan) < 2:
        return "".join(f"Training: {plan}." for plan in rows_by_plan)
    plans = [f"{name_some([*dict.fromkeys(labels)])}: {plan}" for plan, labels in rows_by_plan.items()]
    more = len(plans) - _MAX_PLANS
    others = f"; and {more} other plans" if more > 1 else "; and another plan" if more == 1 else ""
    return f"Training: {'; '.join(plans[:_MAX_PLANS])}{others}."
