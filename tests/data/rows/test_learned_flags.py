"""Flags of a whole row, and lists of flags beside a conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.data.rows.conversations import columns_read, parse_messages
from ftlab.data.rows.row import UnusableValue
from tests.data.rows.test_turns import said
from tests.fixtures.refusals import refused

MESSAGES = said("user: a", "assistant: b", "user: c", "assistant: d")


@pytest.mark.parametrize("column", ["weight", "loss_weight", "loss_scale", "train", "training"])
def test_a_row_that_is_not_learned_is_refused(column: str) -> None:
    for flag in (0, 0.0, False, "0", "false", "False", "0.0"):
        with refused(UnusableValue, repr(flag), "whole row", "remove the row") as caught:
            parse_messages(MESSAGES, {column: flag})
        assert (caught.value.reason, caught.value.column) == ("nothing to learn", column)
    for flag in (0.5, 2, -1, "0.5", "yes", [1]):
        with refused(UnusableValue, repr(flag), "whole row") as caught:
            parse_messages(MESSAGES, {column: flag})
        assert (caught.value.reason, caught.value.column) == ("bad conversation", column)
    for flag in (1, 1.0, True, "1", "true", None, "", float("nan")):
        assert parse_messages(MESSAGES, {column: flag}) == MESSAGES


@given(st.sampled_from(["loss_mask", "completion_mask", "loss_weights", "weights"]), st.tuples(*[st.booleans()] * 2))
def test_a_mask_says_which_answers_are_learned(column: str, learned: tuple[bool, bool]) -> None:
    for mask in ([0, learned[0], 0, learned[1]], str([0, int(learned[0]), 0, int(learned[1])])):
        if not any(learned):
            with refused(UnusableValue, "no answer"):
                parse_messages(MESSAGES, {column: mask})
            continue
        messages = parse_messages(MESSAGES, {column: mask, "system": "Be short."})  # not one of the file's messages
        assert tuple(messages[index].get("learned", True) for index in (2, 4)) == learned
    assert column in columns_read({}, MESSAGES, ())


@pytest.mark.parametrize("mask", [[0, 1], [0, 1, 0, 1, 0], [0, 1, 0, 0.5], 1, "x", [0, None, 0, 1], {"a": 1}])
def test_a_mask_that_does_not_fit_is_refused(mask: Any) -> None:
    with refused(UnusableValue, "4 messages", "each message") as caught:
        parse_messages(MESSAGES, {"loss_mask": mask})
    assert caught.value.column == "loss_mask"


def test_a_mask_neither_learns_a_prompt_nor_contradicts_a_message() -> None:
    with refused(UnusableValue, "turn 1", "user", "loss_mask"):
        parse_messages(MESSAGES, {"loss_mask": [1, 1, 1, 1]})
    with refused(UnusableValue, "turn 2", "weight, loss_mask"):
        parse_messages([MESSAGES[0], {**MESSAGES[1], "weight": 1}, *MESSAGES[2:]], {"loss_mask": [0, 0, 0, 1]})
    for nothing in (None, [], "", "[]"):
        assert parse_messages(MESSAGES, {"loss_mask": nothing}) == MESSAGES
