"""Tags of words: entity tagging schemes (IOB1, BIO, BIOES, BILOU) and their conversion to BIO."""

import re
from collections.abc import Iterable, Sequence

OUTSIDE = "O"

ENTITY_TAG = re.compile(r"([BIMELSU])-(.+)")  # begin, inside or middle, end or last, single or unit
_LASTS = "ELSU"  # the next tag does not continue the entity
_FIRSTS = "BSU"

Span = tuple[str, int, int]  # type, first word, word after the last


def has_entity_tags(tags: Iterable[str]) -> bool:
    """Return whether any of these tags marks an entity, such as B-PER; if not, they label single words (as POS tags).

    `O` alone marks none.
    """
    return any(ENTITY_TAG.fullmatch(tag) for tag in tags)


def is_entity_tag(tag: str) -> bool:
    """Return whether a tag belongs to a scheme that marks entities: O, B-…, I-…, or E-, S-, L-, U-, M-…."""
    return tag == OUTSIDE or ENTITY_TAG.fullmatch(tag) is not None


def unknown_tag_message(word: str, tag: str) -> str:
    """Return the error message for a tag of no scheme, among others that mark entities."""
    return f"{word!r} has the tag {tag!r}, where others mark entities: write O, or B- or I- and a type."


def to_bio(tags: Sequence[str]) -> list[str]:
    """Return the same entities in BIO (IOB2): B- at the first word of each, I- at the others.

    Takes IOB1, BIO, BIOES (BMES) and BILOU alike. An entity that begins with I- counts as begun, as in seqeval and
    the CoNLL script.
    """
    bio = []
    open_type = ""  # type of the entity that the next tag can continue
    for tag in tags:
        match = ENTITY_TAG.fullmatch(tag)
        if match is None:
            bio.append(OUTSIDE)
            open_type = ""
            continue
        letter, entity_type = match.groups()
        bio.append(f"{'B' if letter in _FIRSTS or entity_type != open_type else 'I'}-{entity_type}")
        open_type = "" if letter in _LASTS else entity_type
    return bio


def bio_labels(tags: Iterable[str]) -> tuple[str, ...]:
    """Return O, and B- and I- of every type in these tags; sorted, so that ids are the same in every run."""
    types = sorted({match[2] for tag in set(tags) if (match := ENTITY_TAG.fullmatch(tag))})
    return (OUTSIDE, *(f"{letter}-{entity_type}" for entity_type in types for letter in "BI"))


def entity_spans(tags: Sequence[str]) -> list[Span]:
    """Return the entities of one sentence, in order."""
    spans: list[Span] = []
    for index, tag in enumerate(to_bio(tags)):
        if tag.startswith("B-"):
            spans.append((tag[2:], index, index + 1))
        elif tag != OUTSIDE:
            entity_type, first, _ = spans[-1]
            spans[-1] = (entity_type, first, index + 1)
    return spans
