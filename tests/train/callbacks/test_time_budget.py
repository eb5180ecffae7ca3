"""Time ends training between two steps, and validations are spread over it."""

from types import SimpleNamespace
from typing import Any

from ftlab.train.callbacks.time_budget import TimeBudget


def _run(
    clock: TimeBudget, now: list[float], *, accumulate: int, take_s: float, most: int = 1000
) -> tuple[int, list[int]]:
    """Return the micro-batches done until the end, and those after which a validation was asked for."""
    trainer: Any = SimpleNamespace(world_size=1, val_check_batch=1, should_stop=False)
    clock.on_train_start(trainer, None)
    validated = []
    for number in range(most):
        now[0] += take_s
        if (number + 1) % accumulate == 0:
            clock.on_before_optimizer_step(trainer, None, None)
        clock.on_train_batch_end(trainer, None, None, None, number)
        if (number + 1) % trainer.val_check_batch == 0:
            validated.append(number + 1)
        if trainer.should_stop:
            return number + 1, validated
    return most, validated


def test_it_stops_at_the_end_of_the_step_in_which_time_is_up() -> None:
    now = [0.0]
    clock = TimeBudget(10, validations=2, accumulate=4, used=lambda: now[0])
    done, validated = _run(clock, now, accumulate=4, take_s=0.75)
    assert done == 16, "three steps take 9 s, the fourth ends at 12 s"
    assert validated == [8, 16]
    assert clock.fraction_used == 1


def test_a_run_that_is_gone_on_with_has_the_time_that_is_left() -> None:
    now = [0.0]
    before = TimeBudget(10, validations=5, accumulate=1, used=lambda: now[0])
    assert _run(before, now, accumulate=1, take_s=1, most=6) == (6, [2, 4, 6])
    after = TimeBudget(10, validations=5, accumulate=1, used=lambda: now[0])
    after.load_state_dict(before.state_dict())
    assert after.fraction_used == 0.6
    assert _run(after, now, accumulate=1, take_s=1) == (4, [2, 4])
