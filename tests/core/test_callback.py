"""Callbacks of a run: their order, and that those which fill in the record are asked for it."""

import random
from typing import Any

from lightning.pytorch import Callback

from ftlab.core.callback import Phase, RunCallback, in_order
from ftlab.methods.gradual import Unfreezing
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.progress import ProgressLines
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.profile import _StepProfiler
from ftlab.train.speedups import Speedup
from tests.fixtures.source_trees import source_trees

# Lightning's own class, because they have no fields of the record: of methods, of the log, of a budget in seconds
PLAIN = {"Unfreezing", "RankSchedule", "ProgressLines", "StepMetrics", "TimeBudget"}


class _Named(Callback):
    """A user's callback, which calls something else a phase."""

    phase = "warmup"


def _without_init(kind: type[Any]) -> Any:
    return kind.__new__(kind)


def test_the_meter_comes_after_what_it_must_not_count_and_before_all_others() -> None:
    resume, meter = (_without_init(kind) for kind in (ResumePoints, CostMeter))
    others = [ProgressLines(), Unfreezing(0.5), TrainingCheck([]), _without_init(Speedup), _Named()]
    for seed in range(10):
        random.Random(seed).shuffle(others)
        assert in_order([*others[:2], meter, None, *others[2:], resume]) == [resume, meter, *others]


def test_the_profiler_of_a_plan_stands_where_the_meter_does() -> None:
    assert _StepProfiler.phase == CostMeter.phase == Phase.COST


def test_every_callback_of_ours_can_fill_in_the_record_or_is_known_not_to() -> None:
    bases = {
        node.name: {getattr(base, "id", getattr(base, "attr", "")) for base in node.bases}
        for tree in source_trees("src").values()
        for node in tree.body
        if hasattr(node, "bases")
    }
    plain = {name for name, above in bases.items() if "Callback" in above}
    assert plain - {RunCallback.__name__} == PLAIN
