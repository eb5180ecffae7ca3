"""Words for what a run is doing, from its record."""

from collections.abc import Sequence

from ftlab.comparison.formats import format_duration
from ftlab.core.run_stage import Stage
from ftlab.record import RunRecord


def stage_parts(record: RunRecord) -> list[str]:
    """Return what a run does and how far it is in that, the time that this will take, and its loss; as far as known."""
    stage, progress = record.stage, record.progress
    if stage is None:
        return [f"step {progress.step}/{progress.steps}" if progress else "loading"]
    count = "" if stage.total is None else f" {stage.done}/{stage.total}"
    left = [] if stage.left_s is None else [f"({format_duration(stage.left_s)} left)"]
    last_loss = progress.loss if progress and stage.name == Stage.TRAINING else None
    loss = [] if last_loss is None else [f"loss {last_loss:.4f}"]
    return [f"{stage.name}{count}", *left, *loss]


def join_parts(parts: Sequence[str]) -> str:
    """Return the parts in one line; what is in brackets belongs to the part before it."""
    first, *others = parts
    return first + "".join(f" {part}" if part.startswith("(") else f", {part}" for part in others)
