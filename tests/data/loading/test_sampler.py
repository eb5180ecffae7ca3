"""A step's rows do not depend on who takes part in it, nor on where the run was begun."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.loading.sampler import BatchSampler

small = st.integers(1, 4)


@given(rows=st.integers(1, 50), micro=small, world=small, accumulate=small, steps=st.integers(1, 30), seed=small)
def test_a_steps_rows_are_the_same_however_it_is_split_up(
    rows: int, micro: int, world: int, accumulate: int, steps: int, seed: int
) -> None:
    size = micro * world * accumulate  # rows of a step
    whole = BatchSampler(rows, micro_batch_size=size, batches=steps, start=0, seed=seed, rank=0, world_size=1)
    ranks = [
        [
            dealt.rows
            for dealt in BatchSampler(
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
        BatchSampler(rows, micro_batch_size=micro, batches=batches, start=first, seed=3, rank=0, world_size=1)
        for first in (0, start)
    ]
    assert list(dealt[1]) == list(dealt[0])[start:]
    assert len(dealt[1]) == batches - start


@given(rows=st.integers(1, 50), epochs=st.integers(1, 4), seed=small)
def test_every_epoch_holds_every_row_once(rows: int, epochs: int, seed: int) -> None:
    sampler = BatchSampler(rows, micro_batch_size=1, batches=rows * epochs, start=0, seed=seed, rank=0, world_size=1)
    order = list(chain.from_iterable(dealt.rows for dealt in sampler))
    for epoch in range(epochs):
        assert sorted(order[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@given(rows=st.integers(1, 200), micro=small, world=small, accumulate=small, steps=st.integers(1, 30), draw=small)
def test_grouped_by_length_each_epoch_holds_every_row_once_and_steps_are_the_same(
    rows: int, micro: int, world: int, accumulate: int, steps: int, draw: int
) -> None:
    lengths = np.random.default_rng(draw).integers(1, 10, rows).astype(np.int32)
    size = micro * world * accumulate
    settings = {"start": 0, "seed": 3, "lengths": lengths}
    whole = list(BatchSampler(rows, micro_batch_size=size, batches=steps, rank=0, world_size=1, **settings))
    parts = [
        list(
            BatchSampler(
                rows,
                micro_batch_size=micro,
                batches=steps * accumulate,
                rank=rank,
                world_size=world,
                accumulate=accumulate,
                **settings,
            )
        )
        for rank in range(world)
    ]
    for step, expected in enumerate(whole):
        dealt = [one.rows for part in parts for one in part[step * accumulate : (step + 1) * accumulate]]
        assert sorted(chain.from_iterable(dealt)) == sorted(expected.rows)
    order = list(chain.from_iterable(dealt.rows for dealt in whole))
    for start in range(0, len(order) - rows + 1, rows):
        assert sorted(order[start : start + rows]) == list(range(rows))


def test_grouped_steps_hold_rows_of_nearby_lengths_in_random_order() -> None:
    lengths = np.arange(1000, dtype=np.int32)[::-1] % 250
    settings = {"micro_batch_size": 8, "batches": 125, "start": 0, "rank": 0, "world_size": 1, "lengths": lengths}
    first, again, other = ([dealt.rows for dealt in BatchSampler(1000, seed=seed, **settings)] for seed in (0, 0, 1))
    assert first == again != other
    spans = [lengths[rows].max() - lengths[rows].min() for rows in first]
    assert np.median(spans) < 10  # of 250
    means = [lengths[rows].mean() for rows in first]
    assert abs(np.corrcoef(means, range(125))[0, 1]) < 0.3  # neither short rows first nor long ones


@given(rows=st.integers(1, 40), micro=small, world=small, accumulate=small, draw=st.integers(0, 99))
def test_the_shares_weigh_every_token_of_a_step_alike(
    rows: int, micro: int, world: int, accumulate: int, draw: int
) -> None:
    """Means over micro-batches, times their shares and averaged as Lightning and DDP do, are the mean over tokens."""
    num_loss_tokens = np.random.default_rng(draw).integers(1, 10, rows).astype(np.int32)
    losses = np.linspace(1, 5, rows)  # of each token of a row
    ranks = [
        list(
            BatchSampler(
                rows,
                micro_batch_size=micro,
                batches=3 * accumulate,
                start=0,
                seed=0,
                rank=rank,
                world_size=world,
                accumulate=accumulate,
                num_loss_tokens=num_loss_tokens,
            )
        )
        for rank in range(world)
    ]
    for step in range(3):
        parts = [one for rank in ranks for one in rank[step * accumulate : (step + 1) * accumulate]]
        means = [float(np.average(losses[one.rows], weights=num_loss_tokens[one.rows])) for one in parts]
        found = sum(mean * one.loss_weight for mean, one in zip(means, parts, strict=True)) / len(parts)
        everything = [row for one in parts for row in one.rows]
        assert found == pytest.approx(np.average(losses[everything], weights=num_loss_tokens[everything]))
    if world * accumulate == 1:
        assert {one.loss_weight for one in ranks[0]} == {1.0}  # to the bit: nothing changes where nothing is shared


@given(
    rows=st.integers(1, 60),
    size=st.integers(1, 20),
    limit=st.integers(0, 3000),
    seed=small,
    grouped=st.booleans(),
    accumulate=small,
)
def test_as_many_steps_as_a_limit_allows(
    rows: int, size: int, limit: int, seed: int, grouped: bool, accumulate: int
) -> None:
    lengths = np.random.default_rng(seed).integers(1, 30, rows).astype(np.int32)

    def sampler(batches: int, micro: int, parts: int) -> BatchSampler:
        place = {"start": 0, "seed": seed, "rank": 0, "world_size": 1, "accumulate": parts}
        return BatchSampler(
            rows, micro_batch_size=micro, batches=batches, lengths=lengths if grouped else None, **place
        )

    steps = sampler(0, size * accumulate, 1).steps_within(lengths, limit)
    dealt = list(sampler((steps + 1) * accumulate, size, accumulate))  # as it is in the run
    costs = [int(lengths[one.rows].sum()) for one in dealt]
    assert sum(costs[: steps * accumulate]) <= limit < sum(costs)
