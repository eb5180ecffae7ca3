"""Stages of a run: what it does, how far it is in that, and how long that will take."""

import pytest

from ftlab.core.run_stage import Stage, StagePosition, StageTracker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def seconds_left(stages: StageTracker) -> float | None:
    return stages.snapshot()[1]


def test_the_time_left_is_that_of_the_stage_at_its_pace_until_now() -> None:
    clock = Clock()
    stages = StageTracker(clock=clock)
    assert stages.position.stage == Stage.LOADING
    assert seconds_left(stages) is None
    stages.begin(Stage.TRAINING, 40, done=20)  # resumed
    assert seconds_left(stages) is None  # no step has been seen
    clock.now += 10
    stages.advance(5)
    assert seconds_left(stages) == pytest.approx(10 / 5 * 15)
    stages.advance(15)
    assert seconds_left(stages) is None  # it is over


def test_what_a_stage_interrupts_goes_on_with_its_time() -> None:
    clock = Clock()
    stages = StageTracker(clock=clock)
    stages.begin(Stage.TRAINING, 10)
    stages.advance(5)
    with stages.within(Stage.VALIDATING, 4):
        clock.now += 10
        stages.advance()
        assert (stages.position.stage, stages.position.done, stages.position.total) == (Stage.VALIDATING, 1, 4)
    assert (stages.position.stage, stages.position.done) == (Stage.TRAINING, 5)
    assert seconds_left(stages) == pytest.approx(10)  # with the validations to come


def test_a_heartbeat_that_meets_the_next_stage_mixes_it_with_nothing() -> None:
    """The main thread goes on between any two lines of the other one."""

    def clock() -> float:
        stages.position = StagePosition(Stage.TESTING, 7, 0, 0, 100.0)
        return 100.0

    stages = StageTracker(clock=lambda: 90.0)
    stages.begin(Stage.TRAINING, 4)
    stages.advance()
    stages._clock = clock
    position, left = stages.snapshot()
    assert (position.stage, left) == (Stage.TRAINING, pytest.approx(30))


def test_each_stage_is_announced_once() -> None:
    names: list[str] = []
    stages = StageTracker(names.append)
    assert names == ["loading"]
    stages.begin(Stage.TRAINING)
    for _ in range(3):
        with stages.within(Stage.VALIDATING):
            pass
    assert names == ["loading", "training", "validating"]
