"""Examples that share a row of a batch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.batch import IGNORE_INDEX, model_inputs
from ftlab.data.encoding.example import Example
from ftlab.data.loading.collate import Collate
from ftlab.data.loading.packing import first_fit_decreasing


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_every_example_has_one_place_and_rows_are_not_overfull(lengths: list[int]) -> None:
    rows = first_fit_decreasing(lengths, 20)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= 20 for row in rows)
    # no two rows are half empty, or first-fit had joined them
    assert sum(sum(lengths[number] for number in row) <= 10 for row in rows) <= 1


def test_an_example_longer_than_the_room_has_a_row_of_its_own() -> None:
    assert first_fit_decreasing([3, 30, 4], 10) == [[1], [2, 0]]


@given(data=st.data(), side=st.sampled_from(["left", "right"]))
def test_nothing_but_first_labels_is_lost(data: st.DataObject, side: str) -> None:
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=9))
    start = 1
    examples = []
    for length in lengths:
        ids = np.arange(start, start + length, dtype=np.int32)
        examples.append(Example(ids, ids))
        start += length
    batch = Collate(0, side, packed_length=12)(list(enumerate(examples)))
    ids, labels, positions = (batch[name].reshape(-1).tolist() for name in ("input_ids", "labels", "position_ids"))
    assert sorted(token for token in ids if token) == list(range(1, start))
    assert batch["tokens"].item() == start - 1
    firsts = {int(example.input_ids[0]) for example in examples}
    for token, label, position in zip(ids, labels, positions, strict=True):
        assert label == (IGNORE_INDEX if token in firsts or not token else token)
        assert position == (0 if not token else token - max(first for first in firsts if first <= token))
    assert batch["index"].tolist() == list(range(len(lengths)))
    assert set(model_inputs(batch)) == {"input_ids", "position_ids"}
