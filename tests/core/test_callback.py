"""Callbacks of a run: their order, and that each has its place."""

import random
from typing import Any

from lightning.pytorch import Callback

from ftlab.core.callback import Phase, RunCallback, in_order
from ftlab.evaluation.generation import GenerationEvaluation
from ftlab.evaluation.robustness import RobustnessEvaluation
from ftlab.methods.gradual import Unfreezing
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.progress import ProgressLines
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.callbacks.time_budget import TimeBudget
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.profile import _StepProfiler
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock
from ftlab.train.speedups.frozen_prefix_cache import FrozenPrefixCache

ORDER: list[type[RunCallback]] = [
    ResumePoints,  # first, so that all others read the right step
    GenerationEvaluation,  # before the meter, so that its time is the test's
    CostMeter,
    FrozenPrefixCache,  # after the meter, so that filling it is time of training
    TrainingCheck,
    RobustnessEvaluation,  # after the meter, so that its time is its own
    TimeBudget,
]


def _without_init(kind: type[Any]) -> Any:
    return kind.__new__(kind)


def test_callbacks_run_in_the_order_of_their_phases_however_they_are_listed() -> None:
    callbacks: list[Callback] = [_without_init(kind) for kind in ORDER]
    assert [callback.phase for callback in callbacks if isinstance(callback, RunCallback)] == list(Phase)
    for seed in range(10):
        assert in_order(random.Random(seed).sample(callbacks, len(callbacks))) == callbacks


def test_callbacks_without_a_phase_follow_in_their_own_order() -> None:
    lines, unfreezing, meter = ProgressLines(), Unfreezing(0.5), _without_init(CostMeter)
    assert in_order([lines, None, unfreezing, meter]) == [meter, lines, unfreezing]
    assert in_order([unfreezing, meter, lines]) == [meter, unfreezing, lines]


def test_every_callback_of_ours_has_a_phase() -> None:
    kinds, abstract = [RunCallback], {"Speedup"}
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = {kind.__qualname__: kind for kind in kinds[1:] if kind.__module__.startswith("ftlab.")}
    assert {*(kind.__qualname__ for kind in ORDER), _StepProfiler.__qualname__, ClsOnlyLastBlock.__qualname__} <= {
        *ours
    }
    assert all(isinstance(kind.phase, Phase) for kind in ours.values() if kind.__qualname__ not in abstract)
