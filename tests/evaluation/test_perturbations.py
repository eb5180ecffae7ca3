"""Perturbed texts: the same for the same text, as much changed as is said, and what makes no sense is left alone."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.evaluation.perturbations import (
    KEEP_WORDS,
    PERTURBATION_FUNCTIONS,
    TYPO_RATE,
    no_punctuation,
    perturb,
    typos,
    whitespace,
    width,
)
from ftlab.record import PERTURBATIONS

NAMES = sorted(PERTURBATION_FUNCTIONS)
WORDS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=12), max_size=60)


def test_there_is_one_for_each_name() -> None:
    assert tuple(PERTURBATION_FUNCTIONS) == PERTURBATIONS


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
def test_a_text_is_always_changed_alike(name: str, text: str) -> None:
    change = PERTURBATION_FUNCTIONS[name]
    assert change(text) == change(text)
    assert bool(change(text).strip()) == bool(text.strip()), "a text that is there stays one"


@given(words=WORDS)
def test_typos_hit_so_many_of_the_longer_words_and_no_others(words: list[str]) -> None:
    found = typos(" ".join(words)).split(" ") if words else []
    assert len(found) == len(words)
    hit = [(one, other) for one, other in zip(words, found, strict=True) if one != other]
    long = [word for word in words if len(word) >= 4]
    assert len(hit) == (max(1, round(len(long) * TYPO_RATE)) if long else 0)
    for before, after in hit:
        assert abs(len(after) - len(before)) <= 1
        assert after[0] == before[0]
        assert after != before


@given(text=st.text(alphabet=st.characters(categories=("P", "L", "Zs"))))
def test_no_punctuation_is_left(text: str) -> None:
    found = no_punctuation(text)
    if found != text:
        assert not [sign for sign in found if unicodedata.category(sign).startswith("P")]
        assert [sign for sign in found if sign.isalpha()] == [sign for sign in text if sign.isalpha()]


@given(words=WORDS)
def test_whitespace_leaves_every_word(words: list[str]) -> None:
    text = " ".join(words)
    assert whitespace(text).split() == text.split()
    assert (whitespace(text) != text) == (" " in text)


@given(text=st.text())
def test_width_is_its_own_inverse_where_there_is_chinese(text: str) -> None:
    assert width(text + "中") == width(text + "中")
    assert width(width(text + "中")) == text + "中"


def test_what_each_does() -> None:
    assert no_punctuation("Don't stop -- e.g. “here”, now!") == "Dont stop e g here now"
    assert no_punctuation("?!") == "?!"
    assert width("iPhone 15，很好!") == "\uff49\uff30\uff48\uff4f\uff4e\uff45 \uff11\uff15,很好\uff01"
    assert width("plain English, no change") == "plain English, no change"
    assert typos("价格很便宜，服务也好。") == "价格很便宜，服务也好。"
    assert typos("very good food") != "very good food"


@pytest.mark.parametrize("name", NAMES)
def test_tagged_words_stay_as_many(name: str) -> None:
    words = ["Angela", "Merkel", "visits", "U.S.", "."]
    found = perturb(words, name)
    assert (found is not None) == (name in KEEP_WORDS)
    assert found is None or len(found) == len(words)
    assert perturb(words, "upper") == ["ANGELA", "MERKEL", "VISITS", "U.S.", "."]
