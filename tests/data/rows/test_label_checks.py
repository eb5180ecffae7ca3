"""Implausible labels are named with a count, and ordinary ones cause no word."""

import pytest

from ftlab.data.rows.label_checks import free_text_doubts, label_doubts
from tests.fixtures.statements import states


@pytest.mark.parametrize(
    ("counts", "facts"),
    [
        ({"a": 50, "b": 40, "nan": 3}, ("'nan'", "3 of 93")),
        ({"a": 50, "b": 40, "None": 2}, ("'None'", 2)),
        ({"a": 50, "b": 40, "None": 45}, ("'None'", 45)),  # as Python writes it
        ({"[pos]": 9, "[neg]": 8, "[pos, neg]": 3}, ("'[pos, neg]'", "quotes")),
        ({"[pos": 9, "neg]": 8}, ("'[pos'", "quotes")),
        ({"a": 50, "b": 40, "N/A": 40}, ("'N/A'", 40)),
        ({"a": 500, "b": 40, "?": 2}, ("'?'", 2)),
        ({"0": 5, "1": 5, "2": 5, "-1": 5}, ("'-1'", 5)),
        ({"0": 5, "1": 5, "-100": 5}, ("'-100'", 5)),
        ({"0": 5, "1": 5, "NA": 9}, ("'NA'", 9)),
        ({"Spam": 5, "spam": 4, "ham": 9}, ("'Spam' (5 rows)", "'spam' (4 rows)")),
        ({"card arrival": 5, "card_arrival": 4}, ("'card arrival'", "'card_arrival'")),
        ({"\uff21\uff22": 5, "AB": 4}, ("'\uff21\uff22'", "'AB'")),
        ({"1": 5, "1.0": 4, "2": 1}, ("'1'", "'1.0'")),
        ({"a\u200b": 5, "a": 4}, ("(5 rows)", "(4 rows)")),
        ({'"a"': 5, "a": 4, "b": 1}, ("(5 rows)", "(4 rows)")),
        ({"a": 5, "b": 4, "a|b": 2, "a|c": 1}, ("'a|b'", "dataset=multilabel_files", "dataset.label_separator")),
        ({"a": 5, "b": 4, "b, a": 2}, ("'b, a'", ",")),
        ({"0.0": 5, "1.0": 4}, ("'0.0'", "'1.0'", "dataset.columns.label")),
    ],
)
def test_an_implausible_label_is_named(counts: dict[str, int], facts: tuple[object, ...]) -> None:
    (doubt,) = label_doubts(counts, "dataset.columns.label")
    states(doubt, *facts)


@pytest.mark.parametrize(
    "counts",
    [
        {"positive": 5, "negative": 4},
        {"-1": 5, "0": 4, "1": 4},
        {"-1": 5, "1": 4},
        {"0": 5, "1": 5},
        {"none": 50, "favor": 20, "against": 30},  # stance: a class
        {"0.5": 5, "1.0": 4},
        {"C": 3, "C++": 4, "c#": 1},
        {"": 1, " ": 1},
        {"a/b": 1, "c|d": 1, "e f": 1, "a": 1},
    ],
)
def test_ordinary_labels_cause_no_word(counts: dict[str, int]) -> None:
    assert not label_doubts(counts, "dataset.columns.label")


def test_ids_and_scales_are_doubted() -> None:
    (ids,) = free_text_doubts({f"id{n}": 1 for n in range(60)}, "dataset.columns.label")
    states(ids, 60, "dataset.columns.label")
    (scale,) = free_text_doubts({f"{n / 10 + 0.05:.2f}": 3 for n in range(25)}, "dataset.columns.label")
    states(scale, 25, "dataset=regression_files")
    assert not free_text_doubts({f"id{n}": 1 for n in range(20)}, "dataset.columns.label")  # too few rows to say
    assert not free_text_doubts({f"intent{n}": 3 for n in range(150)}, "dataset.columns.label")
    assert not free_text_doubts({"1.5": 30, "2.5": 30}, "dataset.columns.label")
