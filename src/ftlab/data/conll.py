"""A source: files with a word and its tags a line and a blank line behind each sentence (CoNLL, IOB, CoNLL-U).

Or with a list of words and a list of tags in each row: json, jsonl, parquet.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.data.formats import Reading, Rows
from ftlab.data.formats import read_file as read_rows
from ftlab.data.formats.opening import whole
from ftlab.data.rows import Row
from ftlab.data.tags import is_mark, mark_entities, of_no_scheme
from ftlab.errors import DataError, did_you_mean

_WITH_LISTS = (".json", ".jsonl", ".parquet")
_SEPARATORS = {"tab": r"\t", "\t": r"\t", "\\t": r"\t", "whitespace": r"[ \t]+"}
_DOCUMENT = "-DOCSTART-"  # stands between documents, and is no word
_NAMES = "# global.columns ="  # CoNLL-U Plus says there what its columns are
# of CoNLL-U, which does not say it
_UNIVERSAL = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
_NO_WORD = re.compile(r"\d+[-.]\d+")  # id in CoNLL-U of words that are written as one, and of words left out

Column = int | str


@dataclass(frozen=True)
class Layout:
    """How a line is read.

    Attributes:
        tokens: column of the words, by number from 0 (-1: the last) or by name.
        tags: column of the tags.
        names: of the columns, from the left; empty: the file names them, or they have numbers alone.
        separator: `tab` or `whitespace`; None: tabs where the first line has one.
        comment: what a line that is no word begins with; None: `#`, where a file of tabs has a line without one.
        cut: regular expression of what is taken off a word.
    """

    tokens: Column = 0
    tags: Column = -1
    names: Sequence[str] = ()
    separator: str | None = None
    comment: str | None = None
    cut: str | None = None


@dataclass(frozen=True)
class _Line:
    number: int
    fields: list[str]


def read(
    train: str,
    val: str | None = None,
    test: str | None = None,
    tokens: int | str = 0,
    tags: int | str = -1,
    names: list[str] | None = None,
    separator: str | None = None,
    comment: str | None = None,
    cut: str | None = None,
    encoding: str | None = None,
) -> dict[str, Rows]:
    """Read one file per split, .gz or not; paths are relative to the working directory. Columns tokens and tags.

    json, jsonl and parquet have columns of their own, and use none of the settings but the encoding.

    Args:
        train: file with the training sentences. What has no file of its own is carved from these.
        val: file with the validation sentences.
        test: file with the test sentences.
        tokens: column of the words, by number from 0 (-1: the last) or by name.
        tags: column of the tags.
        names: of the columns, from the left; null: CoNLL-U has its own.
        separator: between columns, tab or whitespace; null: tab where the first line has one.
        comment: what comments begin with; null: # in files with tabs, where such a line has none.
        cut: regular expression of what is taken off each word, e.g. '[0-9]$'.
        encoding: e.g. gb18030; null: UTF-8, or else Western European, which is logged.

    Raises:
        DataError: a file is missing, empty or broken; names the file and, where there is one, the line.
    """
    if separator is not None and separator not in _SEPARATORS:
        hint = did_you_mean(separator, ("tab", "whitespace"))
        raise DataError(f"dataset.source.separator={separator!r} is not valid: {hint}.")
    try:
        re.compile(cut or "")
    except re.error as error:
        raise DataError(f"dataset.source.cut={cut!r} is no regular expression: {error}.") from None
    layout = Layout(tokens, tags, names or (), separator, comment, cut)
    paths = {"train": train, "val": val, "test": test}
    return {
        split: read_file(Path(path).expanduser(), layout, encoding=encoding)
        for split, path in paths.items()
        if path is not None
    }


def read_file(path: Path, layout: Layout | None = None, *, encoding: str | None = None) -> Rows:
    """Read the sentences of one file; see `read`."""
    if Path(path.name.removesuffix(".gz")).suffix.lower() in _WITH_LISTS:
        return read_rows(path, Reading(encoding=encoding))
    rows = parse(whole(path, encoding), path, layout or Layout())
    if not rows:
        raise DataError(f"{path} holds no sentences.")
    return iter(rows)


def parse(text: str, path: Path, layout: Layout) -> list[Row]:
    """Return a row for each sentence: `tokens` and `tags`, lists of one length; `where` is its first line.

    Raises:
        DataError: a line has not as many columns as the others, or no tag, or there is no such column.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    separator = _SEPARATORS[layout.separator or _separator(lines)]
    sentences = [*_sentences(lines, separator, layout.comment)]
    counts = Counter(len(line.fields) for sentence in sentences for line in sentence)
    if not counts:
        return []
    width = counts.most_common(1)[0][0]
    names = [*layout.names] or _own_names(lines, width)
    token, tag = (_place(name, role, names, width, path) for name, role in _roles(layout))
    if token == tag:
        raise DataError(
            f"{path}:{sentences[0][0].number}: words and tags are both in column {token} of {width}: "
            "set dataset.source.tokens and dataset.source.tags, or dataset.source.separator."
        )
    for sentence in sentences:
        for line in sentence:
            _check(line, path, width, tag)
    entities = mark_entities(line.fields[tag].strip() for sentence in sentences for line in sentence)
    rows = []
    for sentence in sentences:
        words = [line.fields[token] for line in sentence]
        if layout.cut:
            words = [re.sub(layout.cut, "", word) for word in words]
        tags = [line.fields[tag].strip() for line in sentence]
        for line, found in zip(sentence, tags, strict=True):
            if entities and not is_mark(found):  # the data module sees it too, but not on which line
                raise DataError(f"{path}:{line.number}: {of_no_scheme(line.fields[token], found)}")
        rows.append(Row({"tokens": words, "tags": tags}, f"{path.name}:{sentence[0].number}"))
    return rows


def _check(line: _Line, path: Path, width: int, tag: int) -> None:
    if len(line.fields) != width:
        raise DataError(
            f"{path}:{line.number}: {len(line.fields)} columns where the other lines have {width}: mend the line, or "
            "set dataset.source.separator."
        )
    if not line.fields[tag].strip():
        raise DataError(f"{path}:{line.number}: this word has no tag: give it one (O: it is in no entity).")


def _sentences(lines: Sequence[str], separator: str, comment: str | None) -> Iterator[list[_Line]]:
    """Yield the words of each sentence; blank lines, comments and marks of documents belong to none."""
    sentence: list[_Line] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and not line.startswith(_DOCUMENT):
            if not _is_comment(line, separator, comment):
                fields = re.split(separator, line if separator == r"\t" else line.strip(" \t"))
                if len(fields) != len(_UNIVERSAL) or not _NO_WORD.fullmatch(fields[0]):
                    sentence.append(_Line(number, fields))
        elif sentence:
            yield sentence
            sentence = []


def _is_comment(line: str, separator: str, comment: str | None) -> bool:
    if comment is not None:
        return line.startswith(comment)
    return line.startswith("#") and separator == r"\t" and "\t" not in line  # "#" is a word too: in tweets, often


def _separator(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line.strip() and not line.startswith(("#", _DOCUMENT))), "")
    return "tab" if "\t" in first else "whitespace"


def _own_names(lines: Sequence[str], width: int) -> list[str]:
    for line in lines:
        if line.startswith(_NAMES):
            return [name.lower() for name in line.removeprefix(_NAMES).split()]
        if line.strip() and not line.startswith("#"):
            break
    return _UNIVERSAL if width == len(_UNIVERSAL) else []


def _roles(layout: Layout) -> list[tuple[Column, str]]:
    return [(layout.tokens, "tokens"), (layout.tags, "tags")]


def _place(column: Column, role: str, names: Sequence[str], width: int, path: Path) -> int:
    """Return the number of a column, from 0."""
    if isinstance(column, int):
        if -width <= column < width:
            return column % width
        raise DataError(
            f"dataset.source.{role}={column}: {path} has {width} columns, 0 to {width - 1} from the left, or -1 to "
            f"{-width} from the right."
        )
    found = column if column in names else column.lower()
    if found not in names or names.index(found) >= width:
        hint = did_you_mean(column, names) if names else "its columns have no names: give a number, or set names"
        raise DataError(f"dataset.source.{role}={column} is no column of {path}: {hint}.")
    return names.index(found)
