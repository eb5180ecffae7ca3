"""Rows of texts with character spans, converted to words with tags."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ftlab.core.errors import DataError
from ftlab.data.encoding.words import split_words, word_offsets
from ftlab.data.rows.answers import bad_row, is_rejected
from ftlab.data.rows.remarks import Remarks
from ftlab.data.rows.row import BadRow, Row, UnusableValue, value_at
from ftlab.data.rows.sample import with_sample
from ftlab.data.rows.spans import SpannedText, find_columns, has_spans, read_spans
from ftlab.data.rows.tags import OUTSIDE

_CUT_SHARE = 0.1  # fraction of the spans above which edges within words are suspicious
_MIN_CUT = 5

Offsets = tuple[int, int]


def with_words(rows: Iterable[Row | BadRow], tokens: str, tags: str, remarks: Remarks) -> Iterator[Row | BadRow]:
    """Yield the rows; if they hold texts with spans, with lists of words and tags in place of those.

    Args:
        rows: with column -> value.
        tokens: column of the words. If it holds a text and the column of the tags spans, these are converted; if there
            is no such list, columns with a text and spans are looked for in the first rows.
        tags: column of the tags.
        remarks: collects what was converted, and doubts.
    """
    sample, all_rows = with_sample(rows)
    columns = _text_and_spans(sample, tokens, tags)
    if columns is None:
        return all_rows
    return _converted(all_rows, columns, (tokens, tags), remarks)


def to_words(text: SpannedText) -> tuple[list[str], list[str], int]:
    """Return words, their tags in BIO, and the number of spans with an edge inside a word, which is split there.

    Words are those of the row, or split as `ftlab predict` splits a text: at white space and punctuation marks, each
    Chinese or Japanese character a word.

    Raises:
        UnusableValue: a word of the row is only partly in a span.
    """
    offsets = text.words
    if offsets is None:
        offsets = tuple(word_offsets(text.text, split_words(text.text)))
    edges = sorted({edge for span in text.spans for edge in (span.start, span.end)})
    pieces = [piece for word in offsets for piece in _split(word, edges)]
    if text.words is not None and len(pieces) > len(offsets):
        raise UnusableValue("wrong span", "holds a span that begins or ends within one of the row's tokens: correct it")
    cut = {edge for word in offsets for edge in edges if word[0] < edge < word[1]}
    tags = [OUTSIDE] * len(pieces)
    starts = [start for start, _ in pieces]
    for span in text.spans:
        first = bisect_right(starts, span.start - 1)
        for index in range(first, bisect_right(starts, span.end - 1)):
            tags[index] = f"{'B' if index == first else 'I'}-{span.type}"
    words = [text.text[start:end] for start, end in pieces]
    return words, tags, sum(span.start in cut or span.end in cut for span in text.spans)


def _split(word: Offsets, edges: Sequence[int]) -> Iterator[Offsets]:
    start, end = word
    for edge in edges[bisect_right(edges, start) :]:
        if edge >= end:
            break
        yield start, edge
        start = edge
    yield start, end


def _text_and_spans(sample: Sequence[Row], tokens: str, tags: str) -> tuple[str, str] | None:
    for row in sample:
        words = value_at(row.values, tokens)
        if isinstance(words, str) and has_spans(value_at(row.values, tags)):
            return tokens, tags
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return None
    for row in sample:
        try:
            columns = find_columns(row.values)
        except DataError as error:
            raise DataError(f"{row.where}: {error}") from None
        if columns:
            return columns
    return None


def _converted(
    rows: Iterable[Row | BadRow], columns: tuple[str, str], roles: tuple[str, str], remarks: Remarks
) -> Iterator[Row | BadRow]:
    text_column, span_column = columns
    remarks.note(
        f"words and tags: from character spans (columns {text_column} and {span_column}; offsets count characters "
        "from 0), split at white space, punctuation marks and the edges of spans"
    )
    num_spans = num_cut = 0
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        if is_rejected(row):
            yield bad_row(row)
            continue
        if _is_unannotated(row):
            yield BadRow(row.where, "not annotated", "this task has no annotation: annotate or remove it")
            continue
        try:
            text = read_spans(
                value_at(row.values, text_column), value_at(row.values, span_column), row.values.get("tokens")
            )
            words, tags, cut = to_words(text)
        except UnusableValue as error:
            yield BadRow(row.where, error.reason, f"column {span_column!r} {error}")
            continue
        num_spans, num_cut = num_spans + len(text.spans), num_cut + cut
        yield Row({**row.values, roles[0]: words, roles[1]: tags}, row.where)
    if num_cut >= _MIN_CUT and num_cut > _CUT_SHARE * num_spans:
        remarks.doubt(
            f"{num_cut} of {num_spans} spans begin or end inside a word, which was split there: do the offsets count "
            "characters of the text from 0, and is each end the one after the last character?"
        )


def _is_unannotated(row: Row) -> bool:
    """Return whether this is a task of Label Studio that nobody has annotated; a text without entities has a result."""
    annotations = row.values.get("annotations")
    if not isinstance(row.values.get("data"), Mapping) or not isinstance(annotations, list):
        return False
    return all(isinstance(annotation, Mapping) and annotation.get("was_cancelled") for annotation in annotations)
