"""Time left of a sweep, from the durations of the jobs that have ended."""

from ftlab.launch.sweep_clock import SweepClock


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_from_the_jobs_that_have_ended() -> None:
    clock = Clock()
    sweep = SweepClock(5, clock)
    sweep.skipped("complete")
    sweep.started("a")
    clock.now = 100
    assert sweep.parts() == ["1/5 jobs done", "? left"]
    sweep.ended("a", "completed")
    assert sweep.seconds_left() == 300  # three that wait
    sweep.started("b")
    clock.now = 140
    assert sweep.seconds_left() == 260
    assert sweep.parts(elapsed=True) == ["2/5 jobs done", "0:02:20 elapsed", "about 0:04:20 left"]


def test_jobs_side_by_side_take_less_time() -> None:
    clock = Clock()
    sweep = SweepClock(5, clock)
    sweep.started("a")
    sweep.started("b")
    clock.now = 100
    sweep.ended("a", "completed")
    sweep.started("c")
    assert sweep.seconds_left() == (0 + 100 + 2 * 100) / 2


def test_a_failure_tells_nothing_of_the_others_and_a_second_attempt_is_no_second_job() -> None:
    clock = Clock()
    sweep = SweepClock(2, clock)
    sweep.started("a")
    clock.now = 1
    sweep.ended("a", "oom")
    assert sweep.parts() == ["1/2 jobs done", "? left"]
    sweep.started("a")
    assert sweep.done == 0
    sweep.ended("a", "interrupted")
    assert sweep.done == 0
