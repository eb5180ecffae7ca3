"""Schemes: whatever marks the entities, they are those that seqeval sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from ftlab.data.rows.tags import bio_labels, entity_spans, has_entity_tags, is_entity_tag, to_bio


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC"),  # IOB1
        ("I-PER B-PER I-PER", "B-PER B-PER I-PER"),  # IOB1: B- parts neighbours
        ("B-PER I-PER O", "B-PER I-PER O"),
        ("B-PER E-PER S-LOC O", "B-PER I-PER B-LOC O"),  # BIOES
        ("B-PER M-PER E-PER", "B-PER I-PER I-PER"),  # BMES
        ("B-PER L-PER U-LOC U-LOC", "B-PER I-PER B-LOC B-LOC"),  # BILOU
        ("B-PER I-LOC", "B-PER B-LOC"),
        ("B-PER.NAM I-PER.NAM", "B-PER.NAM I-PER.NAM"),
        ("B-creative-work I-creative-work", "B-creative-work I-creative-work"),
    ],
)
def test_every_scheme_becomes_bio(tags: str, expected: str) -> None:
    assert to_bio(tags.split()) == expected.split()


MARKS = st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from("BIES"), st.sampled_from(["A", "B-C"])))


@given(st.lists(MARKS, max_size=12))
def test_the_entities_are_those_of_seqeval(tags: list[str]) -> None:
    entities = [(kind, first, last + 1) for kind, first, last in get_entities(tags)]
    assert entity_spans(tags) == entities
    assert [(kind, first, last + 1) for kind, first, last in get_entities(to_bio(tags))] == entities
    assert to_bio(to_bio(tags)) == to_bio(tags)
    assert set(to_bio(tags)) <= set(bio_labels(tags))


def test_parts_of_speech_are_no_scheme() -> None:
    assert not has_entity_tags(["NOUN", "VERB", "O", "-LRB-", "PRP$"])
    assert has_entity_tags(["O", "B-PER"])
    assert is_entity_tag("O")
    assert not is_entity_tag("B-")
    assert not is_entity_tag("PER")


def test_labels_stand_in_the_order_of_their_names() -> None:
    assert bio_labels(["I-PER", "B-LOC", "O"]) == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
