"""Tokens as text: nothing is lost, nothing steers the terminal."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.core.escapes import escape_controls
from ftlab.data.encoding.tokens import plain_ids
from ftlab.preview.token_spans import token_spans
from tests.fixtures.checkpoints import tiny

CHINESE = "今天天气很好。春天来了 🎉"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny("gpt2"))


def test_a_character_of_several_tokens_is_one_piece(tokenizer: PreTrainedTokenizerBase) -> None:
    (ids,) = plain_ids(tokenizer, [CHINESE])
    found = token_spans(tokenizer, ids, [False] * len(ids))
    assert len(ids) > len(CHINESE)
    assert "".join(piece.text for piece in found) == CHINESE
    assert not any("\ufffd" in piece.text for piece in found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40), cut=st.integers(0, 40))
def test_no_text_is_lost_and_none_changes_sides(tokenizer: PreTrainedTokenizerBase, text: str, cut: int) -> None:
    before, behind = plain_ids(tokenizer, [text[:cut], text[cut:]])
    found = token_spans(tokenizer, [*before, *behind], [False] * len(before) + [True] * len(behind))
    for learned, part in ((False, text[:cut]), (True, text[cut:])):
        assert "".join(piece.text for piece in found if piece.in_loss is learned) == escape_controls(part)


def test_control_tokens_are_seen_and_told_from_text_that_looks_like_them(tokenizer: PreTrainedTokenizerBase) -> None:
    (typed,) = plain_ids(tokenizer, ["<|endoftext|>"])
    found = token_spans(tokenizer, [*typed, tokenizer.eos_token_id], [True] * (len(typed) + 1))
    assert [piece.text for piece in found if piece.control] == ["<|endoftext|>"]
    assert "".join(piece.text for piece in found if not piece.control) == "<|endoftext|>"


def test_spaces_between_words_are_kept_whatever_the_tokenizer() -> None:
    bert = AutoTokenizer.from_pretrained(tiny("bert"))
    ids = bert("the market fell on monday")["input_ids"]
    found = "".join(piece.text for piece in token_spans(bert, ids, [False] * len(ids)))
    assert found == "[CLS] the market fell on monday [SEP]"


@pytest.mark.parametrize("steering", ["\x1b[31m", "\x07", "\r", "\x9b2J", "\u202e", "\x00"])
def test_what_steers_a_terminal_is_written_out(steering: str) -> None:
    shown = escape_controls(f"a{steering}b\n")
    assert steering[0] not in shown
    assert shown.startswith("a\\")
    assert shown.endswith("b\n")
