import pytest

from ftlab.record import TrainingPlan

PLAN = TrainingPlan(
    budget="small",
    examples=1280,
    rows=1280,
    all_rows=1780,
    max_length=64,
    mean_tokens=57.4,
    truncated_share=0.714,
    steps=80,
    seconds=None,
    batch_size=16,
    lr=2e-4,
)

CUT = "cut to 64 tokens, 57 on average"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, f"1,280 of 1,780 rows (71% {CUT}), 80 steps of 16 examples (1 epoch), budget=small"),
        (
            {"all_rows": 1280, "examples": 1176, "truncated_share": 0.001},
            f"1,176 examples from 1,280 rows (under 1% {CUT}), 80 steps of 16 examples (1.1 epochs), budget=small",
        ),
        (
            {"steps": None, "seconds": 90.0, "truncated_share": 0.0, "mean_tokens": None, "budget": "seconds"},
            "1,280 of 1,780 rows (at most 64 tokens), 90 s in steps of 16 examples, budget=seconds",
        ),
        (
            {"truncated_share": 0.9951},
            f"1,280 of 1,780 rows (over 99% {CUT}), 80 steps of 16 examples (1 epoch), budget=small",
        ),
    ],
)
def test_it_says_rows_lengths_steps_and_budget(changes: dict[str, object], text: str) -> None:
    assert str(PLAN.model_copy(update=changes)) == text
