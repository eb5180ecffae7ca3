"""Each moment is booked to one phase; the clock of these tests is set by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import UserError
from ftlab.core.phase_clock import PhaseClock, Seconds
from tests.fixtures.refusals import refused


class Hand:
    """The hand of a clock, which somebody moves; processor time passes at a quarter of its speed."""

    def __init__(self) -> None:
        self.wall = 50.0
        self.synchronised_at: list[float] = []
        self.clock = PhaseClock(self.read, synchronise=lambda: self.synchronised_at.append(self.wall))

    def read(self) -> Seconds:
        return Seconds(self.wall, self.wall / 4)

    def move(self, seconds: float) -> None:
        self.wall += seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


def test_main_phases_follow_one_another_and_nothing_is_booked_while_the_clock_is_stopped(hand: Hand) -> None:
    clock = hand.clock
    hand.move(1)
    clock.switch("train")
    hand.move(2)
    clock.switch("eval")
    hand.move(4)
    clock.switch("train")
    hand.move(8)
    assert clock.main == "train"
    assert clock.seconds("train") == (10, 2.5)
    clock.switch(None)
    hand.move(16)
    assert clock.phases() == {"train": 10, "eval": 4}
    assert (clock.seconds("train"), clock.seconds("other")) == ((10, 2.5), (0, 0))


def test_a_phase_within_another_is_deducted_from_it_and_belongs_to_the_main_phase(hand: Hand) -> None:
    clock = hand.clock
    clock.switch("train")
    hand.move(1)
    with clock.phase("generate"):
        hand.move(2)
        with clock.phase("reward"):
            hand.move(4)
        hand.move(8)
        with clock.phase("generate"):  # again, within itself
            hand.move(16)
    hand.move(32)
    clock.switch("eval")
    with clock.phase("generate"):
        hand.move(64)
        assert clock.phases() == {"train": 33, "generate": 26 + 64, "reward": 4, "eval": 0}
    clock.switch(None)
    assert clock.phases() == {"train": 33, "generate": 26 + 64, "reward": 4, "eval": 0}
    assert clock.seconds("train") == (63, 63 / 4)
    assert clock.seconds("eval") == (64, 16)


def test_an_open_phase_belongs_to_the_main_phase_of_the_moment(hand: Hand) -> None:
    clock = hand.clock
    with clock.phase("generate"):
        hand.move(1)  # stopped
        clock.switch("train")
        hand.move(2)
        clock.switch("eval")
        hand.move(4)
        clock.switch(None)
        hand.move(8)
    assert clock.phases() == {"generate": 6}
    assert (clock.seconds("train").wall, clock.seconds("eval").wall) == (2, 4)


def test_an_error_ends_a_phase(hand: Hand) -> None:
    clock = hand.clock
    clock.switch("train")

    def fails() -> None:
        with clock.phase("generate"), clock.phase("reward"):
            hand.move(1)
            raise UserError("no answer")

    with refused(UserError, "no answer"):
        fails()
    hand.move(2)
    assert clock.phases() == {"generate": 0, "reward": 1, "train": 2}


def test_the_device_is_waited_for_where_phases_change_and_not_to_read_the_clock(hand: Hand) -> None:
    clock = hand.clock
    hand.move(1)
    clock.switch("train")
    for _ in range(3):
        hand.move(1)
        clock.switch("train")
        clock.seconds("train")
        clock.state_dict()
        clock.phases()
    with clock.phase("generate"):
        hand.move(1)
    clock.switch(None)
    hand.move(1)
    clock.switch(None)
    assert hand.synchronised_at == [54, 55, 55]


def test_a_resumed_clock_continues_with_times_and_counts(hand: Hand) -> None:
    clock = hand.clock
    clock.switch("train")
    hand.move(1)
    with clock.phase("generate"):
        hand.move(2)
    clock.count("tokens", 5)
    clock.count("tokens", 6)
    hand.move(4)
    state = clock.state_dict()
    hand.move(8)  # lost
    other = Hand()
    other.clock.load_state_dict(state)
    other.move(16)
    assert other.clock.phases() == {"train": 5, "generate": 2}
    other.clock.switch("train")
    other.move(32)
    other.clock.count("tokens", 7)
    assert other.clock.phases() == {"train": 37, "generate": 2}
    assert other.clock.seconds("train") == (39, 39 / 4)
    assert other.clock.counts == {"tokens": 18}
    assert clock.counts == {"tokens": 11}, "a state is a copy"


names = st.sampled_from(["train", "eval", "generate", "reward"])
steps = st.recursive(
    st.one_of(
        st.tuples(st.just("move"), st.integers(0, 64)),
        st.tuples(st.just("switch"), names),
        st.tuples(st.just("resume"), st.none()),
    ),
    lambda inner: st.tuples(names, st.lists(inner, max_size=4)),
    max_leaves=20,
)


def follow(hand: Hand, plan: list[tuple[str, object]]) -> None:
    """Do what a plan says: move the hand, switch, save and load, or open a phase of a plan of its own."""
    for step, what in plan:
        if step == "move":
            hand.move(what)
        elif step == "switch":
            hand.clock.switch(what)
        elif step == "resume":
            hand.clock.load_state_dict(hand.clock.state_dict())
        else:
            with hand.clock.phase(step):
                follow(hand, what)


@given(st.lists(steps, max_size=12))
def test_the_times_of_phases_add_up_to_all_time(plan: list[tuple[str, object]]) -> None:
    """Whole seconds, so that no rounding is forgiven."""
    hand = Hand()
    hand.clock.switch("train")
    follow(hand, plan)
    total = hand.wall - 50
    assert sum(hand.clock.phases().values()) == total
    mains = [hand.clock.seconds(name) for name in ("train", "eval", "generate", "reward")]
    assert sum(main.wall for main in mains) == total
    assert sum(main.cpu for main in mains) == total / 4
    assert not hand.clock._open
