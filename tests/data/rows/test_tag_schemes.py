"""Schemes of tags: types without prefixes, other forms of prefixes, and what is no scheme."""

from collections import Counter

import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.tag_schemes import EntityStarts, read_scheme, tag_set_doubts
from ftlab.data.rows.tags import to_bio
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states


@pytest.mark.parametrize(
    ("tags", "scheme", "expected"),
    [
        ("PER PER O LOC O O", "IO", "B-PER I-PER O B-LOC O O"),
        ("person-actor person-actor O O O", "IO", "B-person-actor I-person-actor O O O"),  # Few-NERD
        ("B_PER I_PER O", "BIO", "B-PER I-PER O"),
        ("B:PER I:PER O", "BIO", "B-PER I-PER O"),
        ("PER-B PER-I O", "BIO", "B-PER I-PER O"),
        ("b-per i-per o", "BIO", "B-per I-per O"),
        ("B I O B B", "BIO", "B-entity I-entity O B-entity B-entity"),
        ("S B M E", "BMES", "B-entity B-entity I-entity I-entity"),  # Chinese word segmentation
        ("B_PER E_PER S_LOC O", "IOBES", "B-PER I-PER B-LOC O"),
    ],
)
def test_other_forms_are_read_as_entities_and_told(tags: str, scheme: str, expected: str) -> None:
    result = read_scheme(Counter(tags.split()))
    assert result.name == scheme
    assert to_bio(result.rewrite(tags.split())) == expected.split()
    assert len(result.doubts) == 1


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-PER I-PER O", "BIO"),
        ("I-PER O", "IO"),
        ("B-PER E-PER S-LOC O", "IOBES"),
        ("B-PER M-PER E-PER", "BMES"),
        ("B-PER L-PER U-LOC", "BILOU"),
    ],
)
def test_prefixes_are_read_without_a_word(tags: str, scheme: str) -> None:
    result = read_scheme(Counter(tags.split()))
    assert (result.name, [*result.doubts], dict(result.rewritten)) == (scheme, [], {})


@pytest.mark.parametrize("tags", ["NOUN VERB O O O", "N V O ^ N", "NOUN VERB DET", "NN VB O O O", "B_X C_X O O", "B C"])
def test_parts_of_speech_stay_tags(tags: str) -> None:
    result = read_scheme(Counter(tags.split()), "words" if "_" in tags else None)
    assert result.name == ""
    assert result.rewrite(tags.split()) == tags.split()


def test_an_o_that_is_rare_is_doubted_until_the_setting_decides() -> None:
    counts = Counter(["PER", "PER", "PER", "LOC", "O"])
    states(read_scheme(counts).doubts[0], "O", "dataset.tag_scheme=io", "dataset.tag_scheme=words")
    assert not read_scheme(counts, "words").doubts
    entities = read_scheme(counts, "io")
    assert (entities.name, [*entities.doubts], entities.rewrite(["PER", "O"])) == ("IO", [], ["I-PER", "O"])


@pytest.mark.parametrize("code", ["0", "_", "None", "OTHER", "o"])
def test_another_way_to_write_o_is_doubted(code: str) -> None:
    counts = Counter(["PER", "LOC", code, code, code])
    states(read_scheme(counts).doubts[0], repr(code), 3, "dataset.tag_scheme=words")
    assert not read_scheme(counts, "words").doubts
    assert not read_scheme(Counter(["0", "0", "0", "1"])).doubts  # numbers have a doubt of their own


@pytest.mark.parametrize(("tags", "setting"), [("B-PER O", "io"), ("B-PER O", "words"), ("NOUN VERB", "io")])
def test_a_setting_that_does_not_fit_is_refused(tags: str, setting: str) -> None:
    with refused(DataError, f"dataset.tag_scheme={setting}"):
        read_scheme(Counter(tags.split()), setting)  # type: ignore[arg-type]


def test_mixed_schemes_and_several_tags_in_one_are_doubted() -> None:
    states(read_scheme(Counter(["B-A", "L-A", "S-A"])).doubts[0], "BILOU", "IOBES")
    states(read_scheme(Counter(["B-A|B-C", "O"])).doubts[0], "'B-A|B-C'")


@pytest.mark.parametrize(
    ("sentences", "name", "doubted"),
    [
        (["B-A I-A O", "B-A B-A"], "BIO", False),
        (["I-A I-A O", "I-A B-A"], "IOB1", False),
        (["I-A I-A O", "O B-A"], "BIO", True),
    ],
)
def test_how_entities_begin_tells_iob1_from_bio(sentences: list[str], name: str, doubted: bool) -> None:
    starts = EntityStarts()
    for sentence in sentences:
        starts.add(sentence.split())
    assert starts.scheme("BIO") == name
    assert bool(starts.doubts("BIO")) == doubted


def test_words_taken_for_tags_and_numbers_are_doubted() -> None:
    column = "dataset.source.tags"
    states(tag_set_doubts({f"w{n}": 1 for n in range(300)}, 300, column)[0], 300, column)
    states(tag_set_doubts({f"w{n}": 9 for n in range(120)}, 1080, column)[0], 120, column)
    states(tag_set_doubts({str(n): 9 for n in range(9)}, 81, column)[0], "dataset.label_names")
    assert not tag_set_doubts({f"T{n}": 100 for n in range(140)}, 14_000, column)  # CLAWS7
    assert not tag_set_doubts({f"T{n}": 1 for n in range(60)}, 60, column)  # too few words to say
