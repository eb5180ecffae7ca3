"""Masked tokens (Devlin et al., 2019)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import DataError
from ftlab.data.encoding.example import Example
from ftlab.data.encoding.masking import Masking, masked_count
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]
MASK = Masking(4, np.arange(5, 1000, dtype=np.int32))


@given(maskable=st.integers(1, 300), key=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_masks_are_the_keys_and_hold_to_the_shares(maskable: int, key: tuple[int, int]) -> None:
    ids = np.arange(1000, 1002 + maskable, dtype=np.int32)
    labels = ids.copy()
    labels[[0, -1]] = IGNORE_INDEX
    example = Example(ids, labels)
    masked, again = MASK(example, *key), MASK(example, *key)
    assert masked.input_ids.tolist() == again.input_ids.tolist()
    chosen = masked.labels != IGNORE_INDEX
    assert chosen.sum() == masked_count(maskable)
    assert not chosen[[0, -1]].any()
    assert (masked.labels[chosen] == ids[chosen]).all()
    assert (masked.input_ids[~chosen] == ids[~chosen]).all()
    assert ids[0] == example.input_ids[0] == 1000  # the example itself is left alone


def test_eight_in_ten_are_masked_and_one_is_another_word() -> None:
    ids = np.full(20_000, 2000, np.int32)
    masked = MASK(Example(ids, ids), 0)
    there = masked.input_ids[masked.labels != IGNORE_INDEX]
    assert len(there) == 3000
    assert (there == 4).mean() == pytest.approx(0.8, abs=0.03)
    assert (there == 2000).mean() == pytest.approx(0.1, abs=0.03)
    assert ((there >= 5) & (there < 1000)).mean() == pytest.approx(0.1, abs=0.03)


def test_no_control_token_takes_a_words_place(tokenizers: Tokenizers) -> None:
    masking = Masking.of(tokenizers["bert"])
    assert masking.mask_id == tokenizers["bert"].mask_token_id
    assert not set(masking.replacement_ids.tolist()) & set(tokenizers["bert"].all_special_ids)
    with refused(DataError, "tokenizer", "mask token", "dataset.task=text"):
        Masking.of(tokenizers["gpt2"])
