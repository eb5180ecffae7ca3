"""A micro-batch in pieces is the same examples, in the same proportion, with less padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.encoding.example import Example
from ftlab.data.loading.collate import Collate
from ftlab.data.loading.micro_batch import MicroBatchSplitter, group_by_length
from ftlab.data.loading.sampler import BatchIndices

lengths_of_rows = st.lists(st.integers(1, 60), min_size=1, max_size=12)


def cut_of(lengths: list[int], limit: int | None, room: int | None = None) -> MicroBatchSplitter:
    counts = np.array(lengths, np.int32)
    return MicroBatchSplitter((counts,), counts // 2 + 1, limit, room)


@given(lengths=lengths_of_rows, limit=st.integers(1, 200), room=st.sampled_from([None, 60, 100]))
def test_every_row_is_in_one_piece_with_its_part_of_the_share(lengths: list[int], limit: int, room: int | None) -> None:
    rows = list(range(len(lengths)))[::-1]
    cut = cut_of(lengths, limit, room)
    pieces = cut(BatchIndices(rows, [7 + row for row in rows], 1.5))
    assert sorted(row for piece in pieces for row in piece.rows) == sorted(rows)
    assert all(piece.epochs == [7 + row for row in piece.rows] for piece in pieces)
    assert sum(piece.loss_weight for piece in pieces) == pytest.approx(1.5)
    per_token = [piece.loss_weight / cut.num_loss_tokens[piece.rows].sum() for piece in pieces]
    assert per_token == pytest.approx([per_token[0]] * len(pieces))
    assert sum(map(cut.num_tokens, pieces)) == sum(lengths)
    for piece in pieces:
        assert cut.num_positions(piece) <= max(limit, room or 0) or len(piece.rows) == 1


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8), limit=st.integers(1, 200))
def test_no_other_way_to_part_sorted_examples_takes_up_less(lengths: list[int], limit: int) -> None:
    ordered = sorted(lengths, reverse=True)

    def cost(parts: list[list[int]]) -> int:
        return sum(len(part) * part[0] + 32 for part in parts)

    def ways(left: list[int]) -> list[list[list[int]]]:
        if not left:
            return [[]]
        fitting = [n for n in range(1, len(left) + 1) if n == 1 or n * left[0] <= limit]
        return [[left[:n], *rest] for n in fitting for rest in ways(left[n:])]

    found = [[lengths[number] for number in group] for group in group_by_length([(one,) for one in lengths], limit)]
    assert [one for part in found for one in part] == ordered
    assert cost(found) == min(map(cost, ways(ordered)))


def test_what_is_written_takes_room_too() -> None:
    assert group_by_length([(10, 50), (50, 10)], 120) == [[0], [1]]  # 2 rows of 50 and 50
    assert group_by_length([(10, 50), (50, 10)], 200) == [[0], [1]]  # together they would take up 200, apart 120
    assert group_by_length([(10, 50), (10, 50)], 200) == [[0, 1]]


@pytest.mark.parametrize("limit", [None, 1000])
def test_what_fits_stays_as_it_is(limit: int | None) -> None:
    dealt = BatchIndices([2, 0, 1], [0, 0, 1], 0.5)
    assert cut_of([40, 41, 40], limit)(dealt) == [dealt]


def test_where_nothing_is_learned_nothing_is_weighed() -> None:
    cut = MicroBatchSplitter((np.array([50, 50], np.int32),), np.zeros(2, np.int32), 50)
    dealt = BatchIndices([0, 1], [0, 0], 1.0)
    assert cut(dealt) == [dealt]


@given(lengths=lengths_of_rows, limit=st.integers(1, 200), room=st.sampled_from([None, 60, 100]))
def test_positions_are_those_of_the_batch(lengths: list[int], limit: int, room: int | None) -> None:
    examples = [Example(np.ones(length, np.int32), np.ones(length, np.int32)) for length in lengths]
    collate = Collate(0, "right", packed_length=room)
    cut = cut_of(lengths, limit, room)
    for piece in cut(BatchIndices(list(range(len(lengths))), [0] * len(lengths), 1.0)):
        batch = collate([(row, examples[row]) for row in piece.rows])
        assert batch["input_ids"].numel() == cut.num_positions(piece)
