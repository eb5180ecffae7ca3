"""Column formats of word-per-line files that are known by name: by extension, header or shape, or as set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftlab.core.errors import DataError, did_you_mean
from ftlab.data.rows.tags import has_entity_tags, is_entity_tag

DOCUMENT = "-DOCSTART-"  # separates documents; not a word
_NAMES = "# global.columns ="  # line of CoNLL-U Plus with the names of its columns
_WORD_ID = re.compile(r"\d+([-.]\d+)?")  # 3-4: a token of several words; 5.1: a word that is not in the text
_WORD_AND_TAG = re.compile(r"\S+/[^/\s]+")
_SLASH_LINES = 50  # at the start of a file
_ONE_PER_LINE = '{for(i=1;i<=NF;i++){n=match($i,"/[^/]*$");print substr($i,1,n-1),substr($i,n+1)};print ""}'
_MIN_WORDS = 3  # whose numbers must count up from 1


@dataclass(frozen=True)
class ColumnFormat:
    """A known format.

    Attributes:
        title: its name in messages.
        names: number of columns -> their names, from the left; empty: the file names them.
        tokens: column of the words.
        tags: column of the tags, unless another is set.
        extensions: of files that have this format.
        has_ids: whether the first column numbers the words, and lines that begin with `#` are comments.
    """

    title: str
    names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    tokens: str = "form"
    tags: str = "upos"
    extensions: tuple[str, ...] = ()
    has_ids: bool = False


CONLLU_NAMES = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_CONLLX = ("id", "form", "lemma", "cpostag", "postag", "feats", "head", "deprel", "phead", "pdeprel")
# A new format is an entry here.
COLUMN_FORMATS = {
    "conllu": ColumnFormat("CoNLL-U", {10: CONLLU_NAMES}, extensions=(".conllu",), has_ids=True),
    "conllup": ColumnFormat("CoNLL-U Plus", extensions=(".conllup",), has_ids=True),
    "conllx": ColumnFormat("CoNLL-X", {10: _CONLLX}, tags="cpostag", extensions=(".conllx",), has_ids=True),
    "conll2000": ColumnFormat("CoNLL-2000", {3: ("word", "pos", "chunk")}, tokens="word", tags="chunk"),
    "conll2002": ColumnFormat("CoNLL-2002", {2: ("word", "ner"), 3: ("word", "pos", "ner")}, tokens="word", tags="ner"),
    "conll2003": ColumnFormat(
        "CoNLL-2003",
        {4: ("word", "pos", "chunk", "ner"), 5: ("word", "lemma", "pos", "chunk", "ner")},
        tokens="word",
        tags="ner",
    ),
    "germeval2014": ColumnFormat("GermEval 2014", {4: ("id", "form", "ner", "nested")}, tags="ner", has_ids=True),
}


def format_named(name: str) -> ColumnFormat:
    """Return the format that `dataset.source.format` names.

    Raises:
        DataError: there is no such format.
    """
    if name not in COLUMN_FORMATS:
        raise DataError(f"dataset.source.format={name} is unknown: {did_you_mean(name, COLUMN_FORMATS)}.")
    return COLUMN_FORMATS[name]


def format_by_content(path: Path, lines: Sequence[str]) -> ColumnFormat | None:
    """Return the format of a file by its extension or its lines; None if it is not a known one.

    Raises:
        DataError: it is of a format that cannot be read.
    """
    extension = Path(path.name.lower().removesuffix(".gz")).suffix
    for column_format in COLUMN_FORMATS.values():
        if extension in column_format.extensions:
            return column_format
    if any(line.startswith("#begin document") for line in lines[:50]):
        raise DataError(
            f"{path} is a CoNLL-2012 file, whose lines have unequal numbers of columns: convert it to a column of "
            "words and one of tags, e.g. to CoNLL-2003."
        )
    if _has_tags_in_words(lines):
        raise DataError(
            f"{path} has a sentence per line, whose words hold their tags after a slash (as 'Rome/B-LOC'): write each "
            f"word on a line of its own with its tag after a space, and a blank line after each sentence, as by "
            f"awk '{_ONE_PER_LINE}' {path.name} > {path.stem}.conll."
        )
    if names_in_header(lines) is not None:
        return COLUMN_FORMATS["conllup"]
    content = [line for line in lines if line.strip() and not line.startswith((DOCUMENT, "#"))]
    width = len(re.split(r"\t|[ ]+", content[0].strip(" "))) if content else 0
    if numbers_words(lines):
        in_ten = all(line.count("\t") == len(CONLLU_NAMES) - 1 for line in content)
        return COLUMN_FORMATS["conllu"] if in_ten else None
    if any(line.startswith(DOCUMENT) for line in lines):
        return COLUMN_FORMATS["conll2003"] if width in COLUMN_FORMATS["conll2003"].names else None
    return None


def _has_tags_in_words(lines: Sequence[str]) -> bool:
    """Return whether the lines are sentences of word/TAG: in a file of columns, the tags or words have no slash."""
    words = [word for line in lines[:_SLASH_LINES] for word in line.split()]
    return len(words) >= _MIN_WORDS and all(_WORD_AND_TAG.fullmatch(word) for word in words)


def names_in_header(lines: Sequence[str]) -> list[str] | None:
    """Return the column names that CoNLL-U Plus has in its first line, in lower case; None if they are not there."""
    for line in lines:
        if line.startswith(_NAMES):
            return [name.lower() for name in line.removeprefix(_NAMES).split()]
        if line.strip() and not line.startswith("#"):
            break
    return None


def names_of(column_format: ColumnFormat, lines: Sequence[str], width: int, where: str) -> list[str]:
    """Return the names of a file's columns.

    Args:
        column_format: of the file.
        lines: its lines.
        width: number of its columns.
        where: file and line of the first word, for the message.

    Raises:
        DataError: the format has another number of columns.
    """
    if not column_format.names:
        names = names_in_header(lines)
        if names is None:
            raise DataError(
                f"{where}: {column_format.title} needs a first line '{_NAMES} ID FORM …', and there is none: add it."
            )
        return names
    if width not in column_format.names:
        widths = " or ".join(map(str, column_format.names))
        raise DataError(
            f"{where}: {width} columns where {column_format.title} has {widths}: fix the file, or set "
            "dataset.source.separator or +dataset.source.format to what it is."
        )
    return [*column_format.names[width]]


def numbers_words(lines: Sequence[str]) -> bool:
    """Return whether the first column of each line counts the words of its sentence from 1."""
    expected, words = 1, 0
    for line in lines:
        if not line.strip():
            expected = 1
        elif not line.startswith(("#", DOCUMENT)):
            number = line.split(None, 1)[0]
            if not _WORD_ID.fullmatch(number):
                return False
            if number.isdigit():
                if int(number) != expected:
                    return False
                expected, words = expected + 1, words + 1
    return words >= _MIN_WORDS


def is_word_id(text: str) -> bool:
    """Return whether this numbers a word, and not a token of several words or one that is not in the text."""
    return text.isdigit() or not _WORD_ID.fullmatch(text)


def first_entity_column(sentences: Sequence[Sequence[Sequence[str]]], start: int, width: int) -> int | None:
    """Return the first column from `start` of which all values mark entities or none (O); None if there is none."""
    for column in range(start, width):
        tags = {fields[column].strip() for sentence in sentences for fields in sentence if len(fields) == width}
        if has_entity_tags(tags) and all(map(is_entity_tag, tags)):
            return column
    return None
