"""The length of a run is known before it begins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.schema import BudgetConfig
from ftlab.trainer import Plan, plan


def _budget(**changes: int | None) -> BudgetConfig:
    values = {"name": "b", "epochs": None, "steps": None, "max_length": None, "train_rows": None, "val_rows": None}
    return BudgetConfig(**{**values, "test_rows": None, "validations": 1, "patience": None, **changes})


@pytest.mark.parametrize(
    ("changes", "batches", "accumulate", "expected"),
    [
        ({"epochs": 1}, 10, 1, Plan(epochs=1, steps=10, batches=10, validation_every=10)),
        ({"epochs": 2, "validations": 2}, 10, 1, Plan(epochs=2, steps=20, batches=20, validation_every=5)),
        (
            {"epochs": 2},
            10,
            4,
            Plan(epochs=2, steps=6, batches=20, validation_every=10),
        ),  # the third step takes two batches
        ({"steps": 7}, 10, 4, Plan(epochs=3, steps=7, batches=24, validation_every=24)),
        ({"steps": 3, "epochs": 9}, 10, 1, Plan(epochs=1, steps=3, batches=3, validation_every=3)),  # steps win
        ({"steps": 2, "validations": 5}, 10, 1, Plan(epochs=1, steps=2, batches=2, validation_every=1)),
    ],
)
def test_plan(changes: dict[str, int], batches: int, accumulate: int, expected: Plan) -> None:
    assert plan(_budget(**changes), batches_per_epoch=batches, accumulate=accumulate) == expected


@given(st.integers(1, 50), st.integers(1, 8), st.integers(1, 60), st.integers(1, 5))
def test_every_run_is_validated_at_least_once(batches: int, accumulate: int, steps: int, validations: int) -> None:
    """Counted by walking through the epochs as the Trainer does."""
    length = plan(_budget(steps=steps, validations=validations), batches_per_epoch=batches, accumulate=accumulate)
    seen = done = 0
    while done < steps:
        for batch in range(1, batches + 1):
            seen += 1
            done += batch % accumulate == 0 or batch == batches
            if done == steps:
                break
    assert length.batches == seen
    assert seen // length.validation_every >= 1
