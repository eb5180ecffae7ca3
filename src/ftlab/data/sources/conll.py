"""Source: CoNLL files (also IOB, CoNLL-U) with a word and its tags per line and a blank line after each sentence.

It also reads json, jsonl and parquet files with a list of words and a list of tags in each row.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ftlab.core.errors import DataError, did_you_mean, reason
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import has_entity_tags, is_entity_tag, unknown_tag_message
from ftlab.data.sources.formats import ReadOptions, RowIterator, extension_of
from ftlab.data.sources.formats import read_file as read_rows
from ftlab.data.sources.formats.saved import is_saved_dataset
from ftlab.data.sources.formats.text_io import read_text
from ftlab.data.sources.split_paths import Spec, split_paths

_LIST_FORMATS = (".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
_SEPARATORS = {"tab": r"\t", "\t": r"\t", "\\t": r"\t", "whitespace": r"[ \t]+"}
_DOCUMENT = "-DOCSTART-"  # separates documents; not a word
_NAMES = "# global.columns ="  # line of CoNLL-U Plus with the names of its columns
# column names of CoNLL-U, whose files do not name them
_CONLLU_NAMES = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
_NO_WORD = re.compile(r"\d+[-.]\d+")  # id in CoNLL-U of multiword tokens and of empty nodes

SourceColumn = int | str


@dataclass(frozen=True)
class LineFormat:
    """Format of a line: columns, separator, comments.

    Attributes:
        tokens: column of the words, by number from 0 (-1: the last) or by name.
        tags: column of the tags.
        names: of the columns, from the left; empty: the file names them, or they have numbers only.
        separator: `tab` or `whitespace`; None: `tab` if the first line has a tab.
        comment: prefix of comment lines; None: `#`, in files with tabs and only if the line has no tab.
        cut: regular expression of what is removed from a word.
    """

    tokens: SourceColumn = 0
    tags: SourceColumn = -1
    names: Sequence[str] = ()
    separator: str | None = None
    comment: str | None = None
    cut: str | None = None


@dataclass(frozen=True)
class _Line:
    number: int
    fields: list[str]


def read(
    train: str | list[str],
    val: str | list[str] | None = None,
    test: str | list[str] | None = None,
    tokens: int | str = 0,
    tags: int | str = -1,
    names: list[str] | None = None,
    separator: str | None = None,
    comment: str | None = None,
    cut: str | None = None,
    encoding: str | None = None,
) -> dict[str, RowIterator]:
    """Read the files of each split, .gz or not; paths are relative to the working directory. Columns tokens and tags.

    json, jsonl, parquet and arrow have named columns, and use no setting except the encoding.

    Args:
        train: file with the training sentences; or a list of files, a glob pattern, or a folder with the files of one
            split or several. Splits without a file are carved from it.
        val: file with the validation sentences.
        test: file with the test sentences.
        tokens: column of the words, by number from 0 (-1: the last) or by name.
        tags: column of the tags.
        names: of the columns, from the left; null: those of CoNLL-U, if the file is of that format.
        separator: between columns, tab or whitespace; null: tab if the first line has one.
        comment: prefix of comment lines; null: #, in files with tabs and only if the line has no tab.
        cut: regular expression of what is removed from each word, e.g. '[0-9]$'.
        encoding: e.g. gb18030; null: UTF-8, or if that fails Western European, which is logged.

    Raises:
        DataError: a file is missing, empty or broken; names the file and, where there is one, the line.
    """
    if separator is not None and separator not in _SEPARATORS:
        hint = did_you_mean(separator, ("tab", "whitespace"))
        raise DataError(f"dataset.source.separator={separator!r} is not valid: {hint}.")
    try:
        re.compile(cut or "")
    except re.error as error:
        raise DataError(f"dataset.source.cut={cut!r} is not a regular expression: {reason(error)}.") from None
    line_format = LineFormat(tokens, tags, names or (), separator, comment, cut)
    paths = {"train": train, "val": val, "test": test}
    return {
        split: chain.from_iterable([read_conll_file(file, line_format, encoding=encoding) for file in files])
        for split, files in resolve(paths).items()
    }


def resolve(specs: Mapping[str, Spec]) -> dict[str, list[Path]]:
    """Return split -> its files; every file of a folder is one. See `split_paths`."""
    return split_paths(specs, lambda file: True)


def read_conll_file(path: Path, line_format: LineFormat | None = None, *, encoding: str | None = None) -> RowIterator:
    """Return the sentences of one file; see `read`."""
    if is_saved_dataset(path) or extension_of(path) in _LIST_FORMATS:
        return read_rows(path, ReadOptions(encoding=encoding))
    rows = parse_sentences(read_text(path, encoding), path, line_format or LineFormat())
    if not rows:
        raise DataError(f"{path} holds no sentences.")
    return iter(rows)


def parse_sentences(text: str, path: Path, line_format: LineFormat) -> list[Row]:
    """Return a row for each sentence: `tokens` and `tags`, lists of equal length; `where` is its first line.

    Raises:
        DataError: a line has another number of columns than the others, or no tag, or there is no such column.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    separator = _SEPARATORS[line_format.separator or _detect_separator(lines)]
    sentences = [*_sentences(lines, separator, line_format.comment)]
    counts = Counter(len(line.fields) for sentence in sentences for line in sentence)
    if not counts:
        return []
    width = counts.most_common(1)[0][0]
    names = [*line_format.names] or _names_in_file(lines, width)
    token = _column_index(line_format.tokens, "tokens", names, width, path)
    tag = _column_index(line_format.tags, "tags", names, width, path)
    if token == tag:
        raise DataError(
            f"{path}:{sentences[0][0].number}: words and tags are both in column {token} of {width}: "
            "set dataset.source.tokens and dataset.source.tags, or dataset.source.separator."
        )
    for sentence in sentences:
        for line in sentence:
            _check_line(line, path, width, tag)
    has_entities = has_entity_tags(line.fields[tag].strip() for sentence in sentences for line in sentence)
    rows = []
    for sentence in sentences:
        words = [line.fields[token] for line in sentence]
        if line_format.cut:
            words = [re.sub(line_format.cut, "", word) for word in words]
        tags = [line.fields[tag].strip() for line in sentence]
        for line, line_tag in zip(sentence, tags, strict=True):
            if has_entities and not is_entity_tag(line_tag):  # the data module checks it too, without the line number
                raise DataError(f"{path}:{line.number}: {unknown_tag_message(line.fields[token], line_tag)}")
        rows.append(Row({"tokens": words, "tags": tags}, f"{path.name}:{sentence[0].number}"))
    return rows


def _check_line(line: _Line, path: Path, width: int, tag: int) -> None:
    if len(line.fields) != width:
        raise DataError(
            f"{path}:{line.number}: {len(line.fields)} columns where the other lines have {width}: fix the line, or "
            "set dataset.source.separator."
        )
    if not line.fields[tag].strip():
        raise DataError(f"{path}:{line.number}: this word has no tag: give it one (O: it is in no entity).")


def _sentences(lines: Sequence[str], separator: str, comment: str | None) -> Iterator[list[_Line]]:
    """Yield the words of each sentence, without blank lines, comments and document separators."""
    sentence: list[_Line] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and not line.startswith(_DOCUMENT):
            if not _is_comment(line, separator, comment):
                fields = re.split(separator, line if separator == r"\t" else line.strip(" \t"))
                if len(fields) != len(_CONLLU_NAMES) or not _NO_WORD.fullmatch(fields[0]):
                    sentence.append(_Line(number, fields))
        elif sentence:
            yield sentence
            sentence = []


def _is_comment(line: str, separator: str, comment: str | None) -> bool:
    if comment is not None:
        return line.startswith(comment)
    return line.startswith("#") and separator == r"\t" and "\t" not in line  # in tweets "#" is often a word


def _detect_separator(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line.strip() and not line.startswith(("#", _DOCUMENT))), "")
    return "tab" if "\t" in first else "whitespace"


def _names_in_file(lines: Sequence[str], width: int) -> list[str]:
    """Return the column names of CoNLL-U Plus or CoNLL-U; an empty list for other files."""
    for line in lines:
        if line.startswith(_NAMES):
            return [name.lower() for name in line.removeprefix(_NAMES).split()]
        if line.strip() and not line.startswith("#"):
            break
    return _CONLLU_NAMES if width == len(_CONLLU_NAMES) else []


def _column_index(column: SourceColumn, role: str, names: Sequence[str], width: int, path: Path) -> int:
    """Return the number of a column, from 0."""
    if isinstance(column, int):
        if -width <= column < width:
            return column % width
        raise DataError(
            f"dataset.source.{role}={column}: {path} has {width} columns, 0 to {width - 1} from the left, or -1 to "
            f"{-width} from the right."
        )
    name = column if column in names else column.lower()
    if name not in names or names.index(name) >= width:
        hint = did_you_mean(column, names) if names else "its columns have no names: give a number, or set names"
        raise DataError(f"dataset.source.{role}={column} is no column of {path}: {hint}.")
    return names.index(name)
