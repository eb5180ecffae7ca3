"""Callback of a run: its place among the others, and what it adds to the record."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from lightning.pytorch import Callback, Trainer


class Phase(IntEnum):
    """Place of a callback among those of a run: at each event, lower phases come first.

    Between two phases the order matters for a reason, given here; within a phase it does not.
    """

    RESUME = 1  # sets the step counters of a resumed run, which all others read
    GENERATION = 2  # writes text in the test: before the meter stops, as it is part of the test's time
    COST = 3  # the meter
    SPEEDUP = 4  # what it prepares at the start of training counts as time of training: after the meter has started
    CHECK = 5  # its own work does not count: after the meter has stopped
    EVALUATION = 6  # after the test, timed by itself: after the meter has stopped
    BUDGET = 7  # reads the meter


class RunCallback(Callback):
    """Lightning callback with a phase, and fields of the record that it fills in.

    Attributes:
        phase: its place.
        excluded_s: seconds spent between two training steps that are no training, which the cost leaves out.
    """

    phase: ClassVar[Phase]
    excluded_s: float = 0.0

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return what it found, as fields of `RunRecord`; every rank calls this once, after the test."""
        return {}

    def spared_flops(self, *, examples: int, tokens: int) -> float:
        """Return the operations of training that were not computed because of it; every rank calls this.

        Args:
            examples: of training, over all ranks.
            tokens: of these examples, without padding.
        """
        return 0.0


def in_order(callbacks: Iterable[Callback | None]) -> list[Callback]:
    """Return the callbacks by phase; those without a phase follow in the order given, and None is left out."""
    present = [callback for callback in callbacks if callback is not None]
    return sorted(present, key=lambda callback: getattr(callback, "phase", len(Phase) + 1))
