"""The length of a run is known before it begins."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.config.groups import BudgetConfig
from ftlab.kinds.classification import KIND
from ftlab.models.devices import Devices
from ftlab.train.length import TrainingLength, training_length
from ftlab.train.trainer import best_checkpoint, build_trainer, early_stopping
from tests.fixtures.compose import composed


def _budget(**changes: int | None) -> BudgetConfig:
    values = {"name": "b", "epochs": None, "steps": None, "max_length": None, "train_rows": None, "val_rows": None}
    return BudgetConfig(**{**values, "test_rows": None, "validations": 1, "patience": None, "oom": "fail", **changes})


@pytest.mark.parametrize(
    ("changes", "rows", "accumulate", "expected"),
    [
        ({"epochs": 1}, 80, 1, TrainingLength(steps=10, batches=10, validation_every=10)),
        ({"epochs": 2, "validations": 2}, 80, 1, TrainingLength(steps=20, batches=20, validation_every=5)),
        (
            {"epochs": 3},
            81,
            4,
            TrainingLength(steps=31, batches=124, validation_every=40),
        ),  # the last step is filled up
        ({"steps": 7}, 80, 4, TrainingLength(steps=7, batches=28, validation_every=28)),
        ({"steps": 3, "epochs": 9}, 80, 1, TrainingLength(steps=3, batches=3, validation_every=3)),  # steps win
        ({"steps": 2, "validations": 5}, 80, 1, TrainingLength(steps=2, batches=2, validation_every=1)),
    ],
)
def test_plan(changes: dict[str, int], rows: int, accumulate: int, expected: TrainingLength) -> None:
    assert training_length(_budget(**changes), train_rows=rows, batch_size=8, accumulate=accumulate) == expected


@pytest.mark.parametrize(
    ("rung", "steps", "validations", "end"),
    [
        (0.55, 100, 20, 55),  # in floating point, 0.55 of 100 steps are more than 55
        (0.28, 100, 25, 28),
        (0.07, 100, 100, 7),
        (0.3, 20, 5, 8),
        (0.8, 20, 5, 16),
        (0.81, 20, 5, None),  # the next validation is that at the end
        (0.01, 20, 5, 4),
        (0.9, 23, 5, None),  # the last steps have no validation of their own
    ],
)
def test_a_rung_ends_with_the_first_validation_by_which_it_is_over(
    rung: float, steps: int, validations: int, end: int | None
) -> None:
    budget = _budget(steps=steps, validations=validations)
    assert training_length(budget, train_rows=80, batch_size=8, accumulate=4).rung_end(rung) == end


@given(st.integers(1, 500), st.integers(1, 8), st.integers(1, 60), st.integers(1, 5))
def test_every_run_is_validated_at_least_once_and_between_steps(
    rows: int, accumulate: int, steps: int, validations: int
) -> None:
    length = training_length(
        _budget(steps=steps, validations=validations), train_rows=rows, batch_size=8, accumulate=accumulate
    )
    assert length.batches == steps * accumulate
    assert length.batches // length.validation_every >= 1
    assert length.validation_every % accumulate == 0


@pytest.mark.parametrize("searches", [True, False])
def test_ranks_search_for_unused_parameters_for_a_method_that_has_some(searches: bool, tmp_path: Path) -> None:
    length = TrainingLength(steps=4, batches=4, validation_every=4)
    trainer = build_trainer(
        Devices(per_node=2),
        composed().optim,
        length,
        tmp_path,
        callbacks=[None, best_checkpoint(KIND, tmp_path)],
        loggers=[],
        find_unused_parameters=searches,
    )
    assert (trainer.num_devices, trainer.max_steps) == (2, 4)
    assert trainer.strategy._ddp_kwargs["find_unused_parameters"] is searches
    assert trainer.checkpoint_callback is trainer.callbacks[-1]
    assert trainer.num_sanity_val_steps == 0, "it would count as the first validation"


def test_patience_is_counted_in_validations_of_the_kinds_own_metric() -> None:
    stopping = early_stopping(KIND, 3)
    assert stopping is not None
    assert (stopping.patience, stopping.monitor, stopping.mode) == (3, KIND.monitor, KIND.mode)
    assert early_stopping(KIND, None) is None
