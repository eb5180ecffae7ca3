"""Cost estimates of a sweep's runs: the file plan.json in the sweep's folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ftlab.core.atomic import write_text
from ftlab.core.errors import UserError
from ftlab.record.parts import CostEstimate

PLAN_FILE = "plan.json"


def read_plan(sweep: Path) -> dict[str, CostEstimate]:
    """Return name of a run's folder -> its cost estimate; empty if nothing was planned.

    Raises:
        UserError: the file is not a valid plan.
    """
    path = sweep / PLAN_FILE
    if not path.exists():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {name: CostEstimate.model_validate(values) for name, values in raw.items()}
    except (ValueError, AttributeError, ValidationError):
        raise UserError(
            f"{path} is not a plan that this version of ftlab can read: remove it, and run with plan=true again."
        ) from None


def write_plan(sweep: Path, estimates: dict[str, CostEstimate]) -> Path:
    """Add estimates to the sweep's plan; those of the same run are replaced."""
    merged = {**read_plan(sweep), **estimates}
    plan = {name: estimate.model_dump(mode="json") for name, estimate in merged.items()}
    return write_text(sweep / PLAN_FILE, json.dumps(plan, indent=1))


def copy_estimates(sweep: Path, names: Mapping[str, str]) -> None:
    """Copy estimates between runs of equal cost: name of a run -> name of the run to copy from, if that has one."""
    plan = read_plan(sweep)
    if copies := {name: plan[source] for name, source in names.items() if source in plan}:
        write_plan(sweep, copies)
