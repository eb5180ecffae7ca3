"""A step's rows do not depend on who takes part in it, nor on where the run was begun."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.dealing import Dealer

small = st.integers(1, 4)


@given(rows=st.integers(1, 50), micro=small, world=small, accumulate=small, steps=st.integers(1, 30), seed=small)
def test_a_steps_rows_are_the_same_however_it_is_split_up(
    rows: int, micro: int, world: int, accumulate: int, steps: int, seed: int
) -> None:
    size = micro * world * accumulate  # rows of a step
    whole = Dealer(rows, micro_batch_size=size, batches=steps, start=0, seed=seed, rank=0, world_size=1)
    ranks = [
        [
            dealt.rows
            for dealt in Dealer(
                rows,
                micro_batch_size=micro,
                batches=steps * accumulate,
                start=0,
                seed=seed,
                rank=rank,
                world_size=world,
            )
        ]
        for rank in range(world)
    ]
    assert {len(batch) for batch in chain.from_iterable(ranks)} == {micro}
    for step, expected in enumerate(whole):
        parts = [rank[step * accumulate : (step + 1) * accumulate] for rank in ranks]
        assert sorted(chain.from_iterable(chain.from_iterable(parts))) == sorted(expected.rows)


@given(rows=st.integers(1, 50), micro=small, batches=st.integers(0, 60), data=st.data())
def test_a_run_can_be_begun_anywhere(rows: int, micro: int, batches: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, batches))
    dealt = [
        Dealer(rows, micro_batch_size=micro, batches=batches, start=first, seed=3, rank=0, world_size=1)
        for first in (0, start)
    ]
    assert list(dealt[1]) == list(dealt[0])[start:]
    assert len(dealt[1]) == batches - start


@given(rows=st.integers(1, 50), epochs=st.integers(1, 4), seed=small)
def test_every_epoch_holds_every_row_once(rows: int, epochs: int, seed: int) -> None:
    dealer = Dealer(rows, micro_batch_size=1, batches=rows * epochs, start=0, seed=seed, rank=0, world_size=1)
    order = list(chain.from_iterable(dealt.rows for dealt in dealer))
    for epoch in range(epochs):
        assert sorted(order[epoch * rows : (epoch + 1) * rows]) == list(range(rows))
