"""Source: CoNLL files (also IOB, CoNLL-U) with a word and its tags per line and a blank line after each sentence.

It also reads json, jsonl, parquet and arrow files with a list of words and a list of tags in each row, or a text and
its spans; and files with a sentence per line beside files with its tags.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ftlab.core.errors import DataError, did_you_mean, reason
from ftlab.data.rows.remarks import RowsWithNotes
from ftlab.data.rows.row import Row
from ftlab.data.rows.tags import has_entity_tags, is_entity_tag, unknown_tag_message
from ftlab.data.sources.column_formats import (
    CONLLU_NAMES,
    DOCUMENT,
    ColumnFormat,
    format_by_content,
    format_named,
    is_word_id,
    names_of,
    numbers_words,
)
from ftlab.data.sources.columns import LineFormat, column_index, default_columns, feature_value
from ftlab.data.sources.formats import ReadOptions, RowIterator, extension_of
from ftlab.data.sources.formats import read_file as read_rows
from ftlab.data.sources.formats.saved import is_saved_dataset
from ftlab.data.sources.formats.text_io import read_text
from ftlab.data.sources.split_paths import existing, split_paths
from ftlab.data.sources.tag_lines import PAIR_NAMES, PathSpec, read_tag_lines, tag_line_files

_LIST_FORMATS = (".json", ".jsonl", ".ndjson", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
_SEPARATORS = {"tab": r"\t", "\t": r"\t", "\\t": r"\t", "whitespace": r"[ \t]+"}
_SPANS = ["text", "annotations"]  # names of the values of rows that are lists, as spaCy's training data


@dataclass(frozen=True)
class _Line:
    number: int
    fields: list[str]


def read(
    train: PathSpec,
    val: PathSpec | None = None,
    test: PathSpec | None = None,
    tokens: int | str = 0,
    tags: int | str = -1,
    names: list[str] | None = None,
    separator: str | None = None,
    comment: str | None = None,
    cut: str | None = None,
    encoding: str | None = None,
    format: str | None = None,
) -> dict[str, RowIterator]:
    """Read the files of each split, .gz or not; paths are relative to the working directory. Columns tokens and tags.

    json, jsonl, parquet and arrow have named columns, and use no setting except the encoding.

    Args:
        train: file with the training sentences; or a list of files, a glob pattern, or a folder with the files of one
            split or several. Or, with the words and the tags of a sentence in equal lines of two files, a folder with
            the files seq.in and seq.out, or {tokens: file, tags: file}. Splits without a file are carved from it.
        val: the same for the validation sentences.
        test: the same for the test sentences.
        tokens: column of the words, by number from 0 (-1: the last) or by name. 0 and -1 are the defaults: in a known
            format, its columns of words and tags.
        tags: column of the tags; of features in CoNLL-U one key, as in misc.NER.
        names: of the columns, from the left; null: those of a known format.
        separator: between columns, tab or whitespace; null: tab if the first line has one.
        comment: prefix of comment lines; null: #, in files with tabs and only if the line has no tab.
        cut: regular expression of what is removed from each word, e.g. '[0-9]$'.
        encoding: e.g. gb18030; null: UTF-8, or if that fails Western European, which is logged.
        format: conllu, conllup, conllx, conll2000, conll2002, conll2003 or germeval2014; null: by the file.

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
    if format is not None:
        format_named(format)
    line_format = LineFormat(tokens, tags, names or (), separator, comment, cut, format)
    specs = {"train": train, "val": val, "test": test}
    parallel, paths = _files(specs)
    return {split: read_tag_lines(files, encoding) for split, files in parallel.items()} | {
        split: _concatenated([read_conll_file(file, line_format, encoding=encoding) for file in files])
        for split, files in paths.items()
    }


def _concatenated(files: Sequence[RowIterator]) -> RowIterator:
    notes = [note for rows in files for note in getattr(rows, "notes", ())]
    return RowsWithNotes(chain.from_iterable(files), list(dict.fromkeys(notes)))


def _files(specs: Mapping[str, PathSpec | None]) -> tuple[dict[str, dict[str, Path]], dict[str, list[Path]]]:
    """Return the files of the splits whose words and tags are in two, by role, and the files of the other splits."""
    parallel: dict[str, dict[str, Path]] = {}
    others: dict[str, str | list[str] | None] = {}
    for split, spec in specs.items():
        if (files := None if spec is None else tag_line_files(spec)) is not None:
            parallel[split] = files
        elif not isinstance(spec, dict):
            others[split] = spec
    return parallel, split_paths(others, lambda file: True)


def resolve(specs: Mapping[str, PathSpec | None]) -> dict[str, list[Path]]:
    """Return split -> its files; every file of a folder is one. See `split_paths`."""
    parallel, paths = _files(specs)
    return {split: [existing(str(file)) for file in files.values()] for split, files in parallel.items()} | paths


def read_conll_file(path: Path, line_format: LineFormat | None = None, *, encoding: str | None = None) -> RowIterator:
    """Return the sentences of one file; see `read`."""
    if path.is_dir() and not is_saved_dataset(path):
        raise DataError(
            f"{path} is a folder without files of sentences, and without {PAIR_NAMES}: name files, or "
            "{tokens:FILE,tags:FILE}."
        )
    if is_saved_dataset(path) or extension_of(path) in _LIST_FORMATS:
        return read_rows(path, ReadOptions(encoding=encoding, names=_SPANS, field=_rows_key(path, encoding)))
    notes: list[str] = []
    rows = parse_sentences(read_text(path, encoding), path, line_format or LineFormat(), notes)
    if not rows:
        raise DataError(f"{path} holds no sentences.")
    return RowsWithNotes(rows, notes)


def _rows_key(path: Path, encoding: str | None) -> str | None:
    """Return the key of the rows in a JSON file that is an object with annotations, as tools for spaCy write."""
    if not path.name.lower().removesuffix(".gz").endswith(".json"):
        return None
    text = read_text(path, encoding)
    if not text.lstrip().startswith("{"):
        return None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None  # an object per line, or broken: its reader says so
    return "annotations" if isinstance(content.get("annotations"), list) and "data" not in content else None


def _lines(text: str) -> list[str]:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")


def _column_format(line_format: LineFormat, path: Path, lines: Sequence[str]) -> ColumnFormat | None:
    """Return the known format of a file; None if it has none, or its columns are named by the user."""
    if line_format.names:
        return None
    return format_named(line_format.format) if line_format.format else format_by_content(path, lines)


def parse_sentences(text: str, path: Path, line_format: LineFormat, notes: list[str] | None = None) -> list[Row]:
    """Return a row for each sentence: `tokens` and `tags`, lists of equal length; `where` is its first line.

    Args:
        text: of the file.
        path: of the file, for messages and its format.
        line_format: of its lines.
        notes: takes a line on a detected format and its columns.

    Raises:
        DataError: a line has another number of columns than the others, or no tag, or there is no such column.
    """
    lines = _lines(text)
    column_format = _column_format(line_format, path, lines)
    has_ids = column_format.has_ids if column_format else numbers_words(lines)
    separator = _SEPARATORS[line_format.separator or _detect_separator(lines)]
    comment = "#" if has_ids and line_format.comment is None else line_format.comment
    sentences = [*_sentences(lines, separator, comment, has_ids)]
    counts = Counter(len(line.fields) for sentence in sentences for line in sentence)
    if not counts:
        return []
    width = counts.most_common(1)[0][0]
    where = f"{path}:{sentences[0][0].number}"
    names = [*line_format.names] or [*CONLLU_NAMES[: width if width == len(CONLLU_NAMES) else 0]]
    if column_format:
        names = names_of(column_format, lines, width, where)
    numbered = [[line.fields for line in sentence] for sentence in sentences] if has_ids else []
    columns = default_columns(line_format, column_format, names, numbered, width, where)
    token = column_index(columns[0], "tokens", names, width, path)
    tag_column, _, key = str(columns[1]).partition(".") if columns[1] not in names else (columns[1], "", "")
    tag = column_index(tag_column if key else columns[1], "tags", names, width, path)
    if token == tag:
        raise DataError(
            f"{where}: words and tags are both in column {token} of {width}: "
            "set dataset.source.tokens and dataset.source.tags, or dataset.source.separator."
        )
    if notes is not None and (column_format or has_ids):
        title = column_format.title if column_format else "numbered words"
        notes.append(f"format: {title}; words in column {columns[0]}, tags in column {columns[1]} of {width}")
    for sentence in sentences:
        for line in sentence:
            _check_line(line, path, width, tag)
            if key:
                line.fields[tag] = feature_value(line.fields[tag], key)
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


def _sentences(lines: Sequence[str], separator: str, comment: str | None, has_ids: bool) -> Iterator[list[_Line]]:
    """Yield the words of each sentence, without blank lines, comments and document separators."""
    sentence: list[_Line] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip() and not line.startswith(DOCUMENT):
            if not _is_comment(line, separator, comment):
                fields = re.split(separator, line if separator == r"\t" else line.strip(" \t"))
                if not (has_ids or len(fields) == len(CONLLU_NAMES)) or is_word_id(fields[0]):
                    sentence.append(_Line(number, fields))
        elif sentence:
            yield sentence
            sentence = []


def _is_comment(line: str, separator: str, comment: str | None) -> bool:
    if comment is not None:
        return line.startswith(comment)
    return line.startswith("#") and separator == r"\t" and "\t" not in line  # in tweets "#" is often a word


def _detect_separator(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line.strip() and not line.startswith(("#", DOCUMENT))), "")
    return "tab" if "\t" in first else "whitespace"
