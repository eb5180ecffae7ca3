"""Entities as character spans: the shapes of doccano, spaCy, Prodigy, Label Studio, CLUENER and the like.

Offsets count Unicode code points from 0, and a span ends before its end. If a span comes with its text, and the text
is not there, two other conventions are tried: the end is the last character (CLUENER), or offsets count UTF-16 units
(JavaScript).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ftlab.core.errors import DataError
from ftlab.data.rows.row import UnusableValue

_STARTS = ("start", "start_offset", "start_idx", "start_char", "begin", "start_pos")
_ENDS = ("end", "end_offset", "end_idx", "end_char", "stop", "end_pos")
_TYPES = ("label", "labels", "type", "entity_type", "tag", "class", "entity_group", "category", "entity")
_TEXTS = ("text", "mention", "word", "value", "entity", "surface")
TEXT_COLUMNS = ("text", "content", "sentence", "data")
SPAN_COLUMNS = ("spans", "entities", "label", "labels", "annotations", "ner", "ents")


class CharSpan(NamedTuple):
    """An entity: first character, character after the last, and type."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class SpannedText:
    """A text with its entities, sorted and without overlaps.

    Attributes:
        text: the text.
        spans: its entities.
        words: offsets of its words, if the row has them; None: the text is to be split.
    """

    text: str
    spans: tuple[CharSpan, ...]
    words: tuple[tuple[int, int], ...] | None = None


def has_spans(value: Any) -> bool:
    """Return whether a value is a list of spans in one of the known shapes, which is not empty."""
    if isinstance(value, Mapping):
        return has_spans(value.get("entities")) or _is_by_type(value)
    if not isinstance(value, list | tuple) or not value:
        return False
    first = value[0]
    if isinstance(first, Mapping):
        return _is_result(first) or (_key(first, _STARTS) is not None and _key(first, _ENDS) is not None)
    return isinstance(first, list | tuple) and len(first) >= 3 and sum(_is_offset(item) for item in first[:3]) == 2


def find_columns(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the columns of text and spans of a row; None if it has none.

    Raises:
        DataError: it has spans, and which column has the text is not clear.
    """
    if isinstance(values.get("data"), Mapping) and any(_is_result(item) for item in _list(values.get("annotations"))):
        texts = [name for name, text in values["data"].items() if isinstance(text, str)]
        name = next((name for name in TEXT_COLUMNS if name in texts), texts[0] if len(texts) == 1 else None)
        return (f"data.{name}", "annotations") if name else None
    spanned = [name for name, value in values.items() if has_spans(value)]
    spans = next((name for name in SPAN_COLUMNS if name in spanned), spanned[0] if spanned else None)
    texts = [name for name, value in values.items() if isinstance(value, str)]
    text = next((name for name in TEXT_COLUMNS if name in texts), texts[0] if len(texts) == 1 else None)
    if spans and not text:
        raise DataError(
            f"these rows hold character spans in column {spans!r}, and of {', '.join(map(str, texts)) or 'no column'} "
            f"it is not clear which is their text: set dataset.columns.tokens to it, and dataset.columns.tags={spans}."
        )
    return (text, spans) if text and spans else None


def read_spans(text: Any, value: Any, tokens: Any = None) -> SpannedText:
    """Return a text with its spans, checked.

    Args:
        text: value of the column of the text.
        value: of the column of the spans; missing or empty: no entities.
        tokens: Prodigy's list of tokens, with start and end of each.

    Raises:
        UnusableValue: a value has no known shape, a span is outside the text, has another text, or overlaps another.
    """
    if not isinstance(text, str):
        raise UnusableValue("no text", "holds no text where one with spans is needed: name another column")
    spans = sorted({_resolve(span, text, mention) for span, mention in _raw_spans(value)})
    for before, after in pairwise(spans):
        if after.start < before.end:
            raise UnusableValue(
                "overlapping spans",
                f"holds two spans that overlap, {_shown(before, text)} and {_shown(after, text)}, and a word has one "
                "tag: keep one of them",
            )
    return SpannedText(text, tuple(spans), _word_offsets(tokens, text))


def _raw_spans(value: Any) -> Iterator[tuple[CharSpan, str | None]]:
    """Yield each span as it is written, and its text if that is there too."""
    if value is None or value == "":
        return
    if isinstance(value, Mapping):
        yield from _raw_spans(value["entities"]) if "entities" in value else _by_type(value)
        return
    if not isinstance(value, list | tuple):
        raise UnusableValue("no spans", f"holds {value!r:.60} where a list of spans is needed: correct it")
    if any(_is_result(item) for item in value):
        yield from _of_label_studio(value)
        return
    for item in value:
        yield _from_object(item) if isinstance(item, Mapping) else _from_list(item)


def _from_object(item: Mapping[str, Any]) -> tuple[CharSpan, str | None]:
    start, end = _key(item, _STARTS), _key(item, _ENDS)
    name = _key(item, _TYPES)
    label = item[name] if name else None
    if isinstance(label, list | tuple):
        if len(label) != 1:
            raise UnusableValue("no span", f"holds a span with the labels {label!r:.80}: a span needs exactly one")
        label = label[0]
    if start is None or end is None or not isinstance(label, str | int):
        raise UnusableValue("no span", f"holds {dict(item)!r:.80}, in which start, end or label is missing: correct it")
    mention = next((item[key] for key in _TEXTS if key != name and isinstance(item.get(key), str)), None)
    return _span(item[start], item[end], str(label)), mention


def _from_list(item: Any) -> tuple[CharSpan, str | None]:
    if isinstance(item, list | tuple) and len(item) >= 3:
        numbers = [part for part in item[:3] if _is_offset(part)]
        labels = [part for part in item[:3] if not _is_offset(part)]
        if len(numbers) == 2 and isinstance(labels[0], str):
            return _span(numbers[0], numbers[1], labels[0]), None
    raise UnusableValue("no span", f"holds {item!r:.80} where start, end and label of a span are needed: correct it")


def _by_type(value: Mapping[str, Any]) -> Iterator[tuple[CharSpan, str | None]]:
    """Yield spans written as type -> text -> list of start and last character."""
    for entity_type, mentions in value.items():
        if not isinstance(mentions, Mapping):
            raise UnusableValue("no spans", f"holds {value!r:.80} where a list of spans is needed: correct it")
        for mention, places in mentions.items():
            for place in places if isinstance(places, list) else [places]:
                if not isinstance(place, list) or len(place) != 2 or not all(map(_is_offset, place)):
                    raise UnusableValue(
                        "no span",
                        f"holds {place!r:.60} where first and last character of a span are needed: correct it",
                    )
                yield _span(place[0], place[1] + 1, str(entity_type)), str(mention)


def _of_label_studio(annotations: Sequence[Any]) -> Iterator[tuple[CharSpan, str | None]]:
    """Yield the spans of the one annotation that was not cancelled."""
    valid = [item for item in annotations if _is_result(item) and not item.get("was_cancelled")]
    readings = [
        [
            _from_object(result["value"])
            for result in annotation["result"]
            if isinstance(result, Mapping) and _key(result.get("value", {}), _STARTS)
        ]
        for annotation in valid
    ]
    if len({frozenset(reading) for reading in readings}) > 1:
        raise UnusableValue("several annotations", f"holds {len(readings)} annotations that differ: keep one")
    yield from readings[0] if readings else ()


def _resolve(span: CharSpan, text: str, mention: str | None) -> CharSpan:
    """Return a span in code points, without white space around it.

    Raises:
        UnusableValue: it is empty, outside the text, or has another text.
    """
    readings: list[Callable[[], CharSpan]] = [
        lambda: span,
        lambda: span._replace(end=span.end + 1),
        lambda: _from_utf16(span, text),
    ]
    resolved = span
    if mention is not None and mention.strip():
        resolved = next((reading for make in readings if _text_of(reading := make(), text) == mention.strip()), span)
        if (actual := text[resolved.start : resolved.end].strip()) != mention.strip():
            raise UnusableValue(
                "wrong span",
                f"holds a span from {span.start} to {span.end} with the text {mention!r:.60}, where the text has "
                f"{actual!r:.60}: correct the offsets",
            )
    if not 0 <= resolved.start < resolved.end <= len(text) or not text[resolved.start : resolved.end].strip():
        raise UnusableValue(
            "wrong span",
            f"holds a span from {span.start} to {span.end}, which is empty or outside the text of {len(text)} "
            "characters: correct the offsets, which count characters from 0",
        )
    piece = text[resolved.start : resolved.end]
    start = resolved.start + len(piece) - len(piece.lstrip())
    return resolved._replace(start=start, end=start + len(piece.strip()))


def _from_utf16(span: CharSpan, text: str) -> CharSpan:
    raw = text.encode("utf-16-le", errors="surrogatepass")
    start, end = (len(raw[: 2 * at].decode("utf-16-le", errors="replace")) for at in (span.start, span.end))
    return span._replace(start=start, end=end)


def _text_of(span: CharSpan, text: str) -> str:
    return text[span.start : span.end].strip() if 0 <= span.start < span.end <= len(text) else ""


def _word_offsets(tokens: Any, text: str) -> tuple[tuple[int, int], ...] | None:
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, Mapping) for token in tokens):
        return None
    if any(_key(token, _STARTS) is None or _key(token, _ENDS) is None for token in tokens):
        return None
    offsets = [(token[_key(token, _STARTS)], token[_key(token, _ENDS)]) for token in tokens]
    if not all(_is_offset(edge) for edges in offsets for edge in edges):
        raise UnusableValue(
            "no span", f"goes with tokens whose offsets are not whole numbers ({offsets[0]!r:.60}): correct them"
        )
    return tuple((int(start), int(end)) for start, end in offsets if text[int(start) : int(end)].strip())


def _span(start: Any, end: Any, label: str) -> CharSpan:
    if not _is_offset(start) or not _is_offset(end):
        raise UnusableValue("no span", f"holds a span from {start!r} to {end!r}: offsets are whole numbers")
    if not label.strip():
        raise UnusableValue("no span", f"holds a span from {start} to {end} without a label: give it one")
    return CharSpan(int(start), int(end), label.strip())


def _shown(span: CharSpan, text: str) -> str:
    return f"{text[span.start : span.end]!r:.40} ({span.start} to {span.end}, {span.type})"


def _key(item: Mapping[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if isinstance(item, Mapping) and item.get(name) is not None), None)


def _is_offset(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _is_result(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("result"), list)


def _is_by_type(value: Mapping[str, Any]) -> bool:
    """Return whether this is type -> text -> list of pairs, as in CLUENER."""
    mentions = next(iter(value.values()), None)
    places = next(iter(mentions.values()), None) if isinstance(mentions, Mapping) else None
    return isinstance(places, list) and bool(places) and isinstance(places[0], list) and len(places[0]) == 2


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
