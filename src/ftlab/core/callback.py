"""Callback of a run: its place among the others, and what it adds to the record."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, ClassVar

from lightning.pytorch import Callback, Trainer

from ftlab.core.phase_clock import PhaseClock
from ftlab.core.run_stage import StageTracker


class Phase(IntEnum):
    """Place of a callback among those of a run: at each event, those of lower phases come first."""

    # sets the step counters of a resumed run, which all others read; and a checkpoint that is saved between a
    # validation and the next step is part of the validation: it comes before the meter goes back to training
    RESUME = 1
    # what the others do when training starts (filling a cache) is time of training, and what they do when training or
    # the test is over (checks, robustness) is not: the meter starts and stops before them
    COST = 2
    OTHERS = 3


class RunCallback(Callback):
    """Lightning callback with a phase, and fields of the record that it fills in.

    Attributes:
        phase: its place.
        clock: the clock of the run, if this callback is the one that keeps it; the others have it of `run_clock`.
        stages: the tracker of the run's stages, if this callback keeps it; the others have it of `run_stages`.
    """

    phase: ClassVar[Phase] = Phase.OTHERS
    clock: PhaseClock | None = None
    stages: StageTracker | None = None

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        """Return what it found, as fields of `RunRecord`; every rank calls this once, when the run has been evaluated.

        Mappings and lists are united with those of other callbacks; `warnings` are printed too. See
        `ftlab.train.record_fields` for the fields that callbacks may fill in.
        """
        return {}

    def spared_flops(self, *, examples: int, tokens: int) -> float:
        """Return the operations of training that were not computed because of it; every rank calls this.

        Args:
            examples: of training, over all ranks.
            tokens: of these examples, without padding.
        """
        return 0.0


def run_callbacks(trainer: Trainer) -> list[RunCallback]:
    """Return those callbacks of a trainer that know of the run."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it without declaring it
    return [callback for callback in callbacks if isinstance(callback, RunCallback)]


def run_clock(trainer: Trainer) -> PhaseClock:
    """Return the clock of a trainer's run, for phases of its cost; a stopped one if nothing measures its cost."""
    clocks = (callback.clock for callback in run_callbacks(trainer))
    return next((clock for clock in clocks if clock is not None), None) or PhaseClock()


def run_stages(trainer: Trainer) -> StageTracker:
    """Return the tracker of a trainer's run, for what takes long; one that nobody reads if nothing follows the run."""
    trackers = (callback.stages for callback in run_callbacks(trainer))
    return next((stages for stages in trackers if stages is not None), None) or StageTracker()


def in_order(callbacks: Iterable[Callback | None]) -> list[Callback]:
    """Return the callbacks by phase, within a phase as given; None is left out.

    Lightning's own callbacks, and those that a tuning method returns, are in `Phase.OTHERS`.
    """
    present = [callback for callback in callbacks if callback is not None]
    return sorted(
        present, key=lambda callback: Phase(callback.phase) if isinstance(callback, RunCallback) else Phase.OTHERS
    )
