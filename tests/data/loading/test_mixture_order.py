"""Order in which the parts of a mixture have their turns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.data.loading.mixture_order import MixtureOrder
from ftlab.data.loading.sampler import BatchSampler


@st.composite
def mixes(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    weights = draw(st.lists(st.integers(1, 1000), min_size=2, max_size=6))
    sizes = draw(st.lists(st.integers(1, 40), min_size=len(weights), max_size=len(weights)))
    return [weight / sum(weights) for weight in weights], sizes


@given(mix=mixes(), places=st.integers(1, 150), seed=st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_each_part_has_had_its_share_but_for_less_than_a_row(
    mix: tuple[list[float], list[int]], places: int, seed: int
) -> None:
    shares, sizes = mix
    rows, epochs = MixtureOrder(shares, sizes, seed)(0, places)
    starts = [sum(sizes[:part]) for part in range(len(sizes))]
    parts = [max(part for part, start in enumerate(starts) if start <= row) for row in rows]
    for end in range(1, places + 1):
        for part, share in enumerate(shares):
            assert abs(parts[:end].count(part) - share * end) < 1
    for part, size in enumerate(sizes):
        mine = [(row, epoch) for row, epoch, of in zip(rows, epochs, parts, strict=True) if of == part]
        for epoch in range(len(mine) // size):
            assert sorted(row for row, of in mine if of == epoch) == list(range(starts[part], starts[part] + size))


@given(
    mix=mixes(),
    micro=st.integers(1, 4),
    world=st.integers(1, 3),
    accumulate=st.integers(1, 3),
    steps=st.integers(1, 12),
    start=st.integers(0, 11),
)
@settings(max_examples=20, deadline=None)
def test_a_steps_rows_are_the_same_however_it_is_split_up_and_wherever_it_is_begun(
    mix: tuple[list[float], list[int]], micro: int, world: int, accumulate: int, steps: int, start: int
) -> None:
    shares, sizes = mix
    begun = min(start, steps)

    def dealt(rank: int, world: int, micro: int, accumulate: int, start: int) -> list[list[int]]:
        sampler = BatchSampler(
            sum(sizes),
            micro_batch_size=micro,
            batches=steps * accumulate,
            start=start * accumulate,
            seed=0,
            rank=rank,
            world_size=world,
            accumulate=accumulate,
            row_order=MixtureOrder(shares, sizes, 0),
        )
        assert [one.rows for one in sampler] == [one.rows for one in sampler]  # a loader may ask twice
        return [one.rows for one in sampler]

    whole = dealt(0, 1, micro * world * accumulate, 1, 0)
    ranks = [dealt(rank, world, micro, accumulate, begun) for rank in range(world)]
    for step in range(begun, steps):
        of_step = slice((step - begun) * accumulate, (step - begun + 1) * accumulate)
        assert sorted(row for rank in ranks for rows in rank[of_step] for row in rows) == sorted(whole[step])
