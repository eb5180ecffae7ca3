"""plan.json: what the runs of a sweep would take, in the sweep's folder, beside the runs."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from ftlab.errors import UserError
from ftlab.record.parts import Prediction

PLAN_FILE = "plan.json"


def read_plan(sweep: Path) -> dict[str, Prediction]:
    """Return name of a run's folder -> what it would take; empty where nothing was planned.

    Raises:
        UserError: the file is no plan.
    """
    path = sweep / PLAN_FILE
    if not path.exists():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {name: Prediction.model_validate(values) for name, values in raw.items()}
    except (ValueError, AttributeError, ValidationError):
        raise UserError(f"{path} is not a plan that this ftlab reads: remove it, and plan again.") from None


def write_plan(sweep: Path, found: dict[str, Prediction]) -> Path:
    """Add predictions to the sweep's plan; those of the same run are replaced."""
    path, partial = sweep / PLAN_FILE, sweep / f".{PLAN_FILE}.partial"
    plan = {name: one.model_dump(mode="json") for name, one in {**read_plan(sweep), **found}.items()}
    partial.write_text(json.dumps(plan, indent=1), encoding="utf-8")
    partial.replace(path)
    return path


def share_plan(sweep: Path, names: Mapping[str, str]) -> None:
    """Have runs share the predictions of others, name -> name of the other one, where there are any."""
    plan = read_plan(sweep)
    if shared := {name: plan[other] for name, other in names.items() if other in plan}:
        write_plan(sweep, shared)
