"""Tagging schemes of other programs (IO, B_PER, PER-B, bare B and I), rewritten with the prefixes that ftlab reads."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from ftlab.core.errors import DataError
from ftlab.data.rows.label_checks import named
from ftlab.data.rows.tags import ENTITY_TAG, OUTSIDE, has_entity_tags

TagSchemeName = Literal["io", "words"]

UNTYPED = "entity"  # type of the entities whose tags name none: B, I, O

# Forms of tags that mark entities, beside B-PER; a scheme needs that all its tags but O have the form.
_FORMS = (
    ("prefixes after which no '-' stands", re.compile(r"(?P<mark>[BIMELSU])[_:/.|](?P<type>.+)")),
    ("small prefixes", re.compile(r"(?P<mark>[bimelsu])[-_:](?P<type>.+)")),
    ("suffixes", re.compile(r"(?P<type>.+)[-_:/.|](?P<mark>[BIMELSU])")),
    ("letters without types", re.compile(r"(?P<mark>[BIMELSU])(?P<type>)")),
)
# Tags of the common sets of parts of speech: beside them, O is one too (a pronoun, in the tags of tweets).
_PARTS_OF_SPEECH = frozenset(
    {"NOUN", "VERB", "ADJ", "DET", "NN", "VB", "VBD", "DT", "IN", "JJ", "VV", "AD", "NNP", "PRP", "N", "V"}
)
_OUTSIDE_CODES = frozenset({"0", "o", "_", "-", "none", "null", "nil", "out", "outside", "other", "x", "*"})
_MANY_TAGS = 150  # parts of speech are 17 (UPOS) to 140 or so (CLAWS7)
_FEW_WORDS = 20  # a tag set of which each tag has fewer words on average is none
_MIN_WORDS = 1000  # below, that says nothing
_MIN_TAGS = 50


@dataclass(frozen=True)
class TagScheme:
    """What the tags of a data set mark.

    Attributes:
        name: for readers; "": one tag per word, no entities.
        rewritten: tag -> the same with a prefix that `to_bio` reads; tags that are not in it stay.
        doubts: sentences on what the reader of a result should know or check.
    """

    name: str
    rewritten: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    doubts: Sequence[str] = ()

    def rewrite(self, tags: Iterable[str]) -> list[str]:
        """Return the tags with prefixes."""
        return [self.rewritten.get(tag, tag) for tag in tags]


def read_scheme(counts: Mapping[str, int], setting: TagSchemeName | None = None) -> TagScheme:
    """Return the scheme of these tags: tag -> number of words.

    Args:
        counts: of all splits.
        setting: `dataset.tag_scheme`: whether tags without prefixes are types of entities (`io`) or label single words
            (`words`); None: types, if O is the most frequent tag and the others are not parts of speech.

    Raises:
        DataError: the setting does not fit the tags.
    """
    if has_entity_tags(counts):
        if setting is not None:
            raise DataError(
                f"dataset.tag_scheme={setting} is for tags without prefixes, and these have some "
                f"({named(sorted(tag for tag in counts if ENTITY_TAG.fullmatch(tag)))}): unset it."
            )
        return _with_prefixes(counts)
    if setting is None and (other := _other_form(counts)):
        return other
    if OUTSIDE not in counts and setting is None and (doubt := _outside_doubt(counts)):
        return TagScheme("", doubts=[doubt])
    types = sorted(counts.keys() - {OUTSIDE})
    if setting == "io" and OUTSIDE not in counts:
        raise DataError(f"dataset.tag_scheme=io needs the tag O for words in no entity, and there are {named(types)}.")
    if setting == "words" or OUTSIDE not in counts or not types:
        return TagScheme("")
    if setting == "io" or _looks_like_types(counts):
        doubts = [] if setting else [_io_doubt(types)]
        return TagScheme("IO", {entity_type: f"I-{entity_type}" for entity_type in types}, doubts)
    doubt = (
        f"O is among tags without prefixes ({named(types)}) and was read as a tag of words like the others: if it "
        "means that a word is in no entity, set dataset.tag_scheme=io, else dataset.tag_scheme=words."
    )
    return TagScheme("", doubts=[] if counts.keys() & _PARTS_OF_SPEECH else [doubt])


def _outside_doubt(counts: Mapping[str, int]) -> str | None:
    """Return a sentence if the most frequent tag is another way to write O."""
    tag = max(counts, key=lambda name: counts[name])
    if tag.casefold() not in _OUTSIDE_CODES or counts[tag] <= sum(counts.values()) / 2 or _all_numbers(counts):
        return None
    return (
        f"The tag {tag!r} of {counts[tag]} words looks like a code for 'in no entity' and was read as a tag of words "
        "like the others: write O for it, or set dataset.tag_scheme=words if it is one."
    )


def _all_numbers(tags: Iterable[str]) -> bool:
    return all(tag.isdigit() for tag in tags)


def _io_doubt(types: Sequence[str]) -> str:
    return (
        f"The tags are types of entities without B- and I- ({named(types)} and O): neighbouring words of the same type "
        "were read as one entity (B-, I-); set dataset.tag_scheme=words if they label single words."
    )


def _looks_like_types(counts: Mapping[str, int]) -> bool:
    return counts[OUTSIDE] == max(counts.values()) and not counts.keys() & _PARTS_OF_SPEECH


def _other_form(counts: Mapping[str, int]) -> TagScheme | None:
    """Return the scheme of tags that all have one of the other forms; None if they have not."""
    for name, form in _FORMS:
        outside = {tag for tag in counts if tag == OUTSIDE or (tag == "o" and name.startswith("small"))}
        matches = {tag: form.fullmatch(tag) for tag in counts if tag not in outside}
        parts = {tag: (match["mark"].upper(), match["type"]) for tag, match in matches.items() if match}
        marks = {mark for mark, _ in parts.values()}
        if len(parts) < len(matches) or "B" not in marks or not marks & {"I", "M", "E", "L"}:
            continue
        rewritten = {tag: f"{mark}-{entity_type or UNTYPED}" for tag, (mark, entity_type) in parts.items()}
        rewritten |= dict.fromkeys(outside, OUTSIDE)
        scheme = _with_prefixes(Counter(rewritten.values()))
        example = max(parts, key=len)
        note = f"The tags mark entities by {name} ({example!r}) and were read like {rewritten[example]!r}."
        return TagScheme(scheme.name, rewritten, [note, *scheme.doubts])
    return None


def _with_prefixes(tags: Iterable[str]) -> TagScheme:
    """Return the scheme of tags such as B-PER."""
    matches = [match for tag in tags if (match := ENTITY_TAG.fullmatch(tag))]
    marks = {match[1] for match in matches}
    doubts = []
    if marks & {"L", "U"} and marks & {"E", "S"}:
        doubts.append(
            "The tags mix two schemes, BILOU (L-, U-) and IOBES (E-, S-), "
            f"{named(sorted(match[0] for match in matches))}: check that all come from one program."
        )
    several = sorted(match[0] for match in matches if re.search(r"[|,;+][BIMELSU]-", match[2]))
    if several:
        doubts.append(
            f"Tags such as {named(several)} hold several tags, and each combination is learned as a type of its own: "
            "leave one tag for each word."
        )
    if marks & {"L", "U"}:
        name = "BILOU"
    elif "M" in marks:
        name = "BMES"
    elif marks & {"E", "S"}:
        name = "IOBES"
    else:
        name = "BIO" if "B" in marks else "IO"
    return TagScheme(name, doubts=doubts)


@dataclass
class EntityStarts:
    """How the entities of a data set begin: IOB1 has B- only between two of the same type, BIO at each.

    Attributes:
        inside: entities that begin with I-.
        begun: those that begin with B- after a word that is not in an entity of their type.
        parted: those that begin with B- after one of their type.
    """

    inside: int = 0
    begun: int = 0
    parted: int = 0

    def add(self, tags: Sequence[str]) -> None:
        """Count the entities of a sentence."""
        previous = ""
        for tag in tags:
            match = ENTITY_TAG.fullmatch(tag)
            letter, entity_type = match.groups() if match else ("", "")
            self.inside += letter == "I" and entity_type != previous
            self.begun += letter == "B" and entity_type != previous
            self.parted += letter == "B" and entity_type == previous
            previous = entity_type

    def scheme(self, name: str) -> str:
        """Return the name of the scheme: BIO, or IOB1 or IO if the entities begin as there."""
        if name != "BIO" or not self.inside or self.begun:
            return name
        return "IOB1"

    def doubts(self, name: str) -> list[str]:
        """Return a sentence if entities of one file begin in two ways."""
        if name not in ("BIO", "IOBES") or not self.inside or not self.begun:
            return []
        return [
            f"{self.inside} of the {self.inside + self.begun + self.parted} entities begin with I-, the others with "
            "B-: they count as begun there, as in seqeval; were words left out, or files of two schemes joined?"
        ]


def tag_set_doubts(counts: Mapping[str, int], num_words: int, setting: str) -> list[str]:
    """Return a sentence if tags are too many to be a tag set, or numbers.

    Args:
        counts: tag -> number of words; of entities, type -> number.
        num_words: words that have one of these tags.
        setting: of the column of the tags.
    """
    sparse = num_words >= _MIN_WORDS and len(counts) >= _MIN_TAGS and num_words < _FEW_WORDS * len(counts)
    if len(counts) >= _MANY_TAGS or sparse:
        return [
            f"The tags have {len(counts)} different values ({named(counts)}), as words, lemmas or features have: is "
            f"{setting} the right column?"
        ]
    if len(counts) > 1 and _all_numbers(counts):
        return [
            f"The tags are numbers ({named(sorted(counts, key=int))}) without names, so what they mark is not known, "
            "and every number is scored as a tag of words: set dataset.label_names to their names, e.g. "
            "[O,B-PER,I-PER]."
        ]
    return []
