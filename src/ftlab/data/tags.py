"""Tags of words: whether they mark entities, and by which scheme."""

import re
from collections.abc import Iterable, Sequence

OUTSIDE = "O"

_MARK = re.compile(r"([BIMELSU])-(.+)")  # begin, inside or middle, end or last, single or unit
_LASTS = "ELSU"  # what comes next does not belong to it
_FIRSTS = "BSU"

Span = tuple[str, int, int]  # type, first word, word behind the last


def mark_entities(tags: Iterable[str]) -> bool:
    """Return whether any of these tags is one such as B-PER; else they are labels of single words, as parts of speech.

    `O` alone marks none.
    """
    return any(_MARK.fullmatch(tag) for tag in tags)


def is_mark(tag: str) -> bool:
    """Return whether a tag belongs to a scheme that marks entities: O, B-…, I-…, or E-, S-, L-, U-, M-…."""
    return tag == OUTSIDE or _MARK.fullmatch(tag) is not None


def of_no_scheme(word: str, tag: str) -> str:
    """Return the sentence about a tag that is no mark, among others that are."""
    return f"{word!r} has the tag {tag!r}, where others mark entities: write O, or B- or I- and a type."


def to_bio(tags: Sequence[str]) -> list[str]:
    """Return the same entities in BIO (IOB2): B- at the first word of each, I- at the others.

    Takes IOB1, BIO, BIOES (BMES) and BILOU alike. An entity that begins with I- begins all the same, as seqeval and
    the CoNLL script have it.
    """
    found = []
    before = ""  # the type that goes on, if this tag is of it
    for tag in tags:
        mark = _MARK.fullmatch(tag)
        if mark is None:
            found.append(OUTSIDE)
            before = ""
            continue
        letter, kind = mark.groups()
        found.append(f"{'B' if letter in _FIRSTS or kind != before else 'I'}-{kind}")
        before = "" if letter in _LASTS else kind
    return found


def bio_labels(tags: Iterable[str]) -> tuple[str, ...]:
    """Return O, and B- and I- of every type in these tags, by name, so that ids are the same in every run."""
    types = sorted({mark[2] for tag in set(tags) if (mark := _MARK.fullmatch(tag))})
    return (OUTSIDE, *(f"{letter}-{kind}" for kind in types for letter in "BI"))


def spans(tags: Sequence[str]) -> list[Span]:
    """Return the entities of one sentence, in order."""
    found: list[Span] = []
    for place, tag in enumerate(to_bio(tags)):
        if tag.startswith("B-"):
            found.append((tag[2:], place, place + 1))
        elif tag != OUTSIDE:
            kind, first, _ = found[-1]
            found[-1] = (kind, first, place + 1)
    return found
