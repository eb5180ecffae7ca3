"""Shapes of character spans: every tool's is read, and what cannot be true is named."""

from typing import Any

import pytest

from ftlab.core.errors import DataError
from ftlab.data.rows.row import UnusableValue
from ftlab.data.rows.spans import CharSpan, find_columns, has_spans, read_spans
from tests.fixtures.refusals import refused

TEXT = "Anna lives in Rome"
PER, LOC = CharSpan(0, 4, "PER"), CharSpan(14, 18, "LOC")


def _result(start: int, end: int, label: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]}
    return {"value": value, "from_name": "label", "to_name": "text", "type": "labels"}


RESULTS = [_result(0, 4, "PER"), _result(14, 18, "LOC"), {"from_id": "a", "to_id": "b", "type": "relation"}]
SHAPES = {
    "doccano": [[0, 4, "PER"], [14, 18, "LOC"]],
    "doccano, objects": [
        {"id": 1, "start_offset": 14, "end_offset": 18, "label": "LOC"},
        {"id": 2, "start_offset": 0, "end_offset": 4, "label": "PER"},
    ],
    "spacy": {"entities": [[0, 4, "PER"], [14, 18, "LOC"]]},
    "prodigy": [
        {"start": 0, "end": 4, "label": "PER", "token_start": 0, "token_end": 0},
        {"start": 14, "end": 18, "label": "LOC"},
    ],
    "label studio": [{"was_cancelled": True, "result": []}, {"was_cancelled": False, "result": RESULTS}],
    "label studio, short": [RESULTS[0]["value"], RESULTS[1]["value"]],
    "cluener": {"PER": {"Anna": [[0, 3]]}, "LOC": {"Rome": [[14, 17]]}},
    "cmeee": [
        {"start_idx": 0, "end_idx": 3, "type": "PER", "entity": "Anna"},
        {"start_idx": 14, "end_idx": 17, "type": "LOC", "entity": "Rome"},
    ],
    "label first": [["PER", 0, 4], ["LOC", 14, 18]],
    "floats, blanks, twice": [[0.0, 5.0, "PER"], [13, 18, " LOC"], [0, 5, "PER"]],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_read(shape: str) -> None:
    assert has_spans(SHAPES[shape])
    assert read_spans(TEXT, SHAPES[shape]).spans == (PER, LOC)


@pytest.mark.parametrize("value", [None, [], {"entities": []}, [{"result": []}], {}])
def test_no_span_is_no_entity(value: Any) -> None:
    assert read_spans(TEXT, value).spans == ()


@pytest.mark.parametrize("value", ["PER", 3, [], ["O", "B-PER"], [1, 2, 3], {"a": 1}, [["a", "b", "c"]], [[1, 2, 3]]])
def test_other_values_are_no_spans(value: Any) -> None:
    assert not has_spans(value)


def test_offsets_count_code_points_unless_the_text_of_a_span_says_otherwise() -> None:
    text = "😀😀 Anna"
    assert read_spans(text, [[3, 7, "PER"]]).spans == (CharSpan(3, 7, "PER"),)
    in_utf16 = [{"start": 5, "end": 9, "text": "Anna", "label": "PER"}]
    assert read_spans(text, in_utf16).spans == (CharSpan(3, 7, "PER"),)


@pytest.mark.parametrize(
    ("value", "culprits"),
    [
        ([[0, 4, "PER"], [2, 6, "X"]], ("overlap", "'Anna'", "PER", "X")),
        ([[0, 4, "PER"], [0, 10, "X"]], ("overlap", "0 to 10")),
        ([[0, 40, "PER"]], ("0 to 40", "18")),
        ([[-3, 4, "PER"]], ("-3 to 4",)),
        ([[4, 4, "PER"]], ("4 to 4",)),
        ([[4, 5, "PER"]], ("4 to 5",)),
        ([[0, "x", "PER"]], ("PER",)),
        ([[0, 4, ""]], ("0 to 4", "label")),
        ([{"start": 0, "end": 4}], ("label",)),
        ([{"start": 0, "end": 4, "labels": ["A", "B"]}], ("'A'", "'B'")),
        ([{"start": 1, "end": 3, "text": "Anna", "label": "PER"}], ("1 to 3", "'Anna'", "'nn'")),
        ([{"result": RESULTS[:1]}, {"result": RESULTS[1:]}], ("2 annotations",)),
        ({"PER": 3}, ("PER",)),
        ({"PER": {"Anna": [[0, "x"]]}}, ("[0, 'x']",)),
        ({"PER": {"Anna": [[0, 3]]}, "LOC": {"Rome": 14}}, ("14",)),
        ({"PER": {"Anna": [[0, 3], [0, 1, 2]]}}, ("[0, 1, 2]",)),
        ("PER", ("'PER'",)),
    ],
)
def test_what_cannot_be_true_is_named(value: Any, culprits: tuple[str, ...]) -> None:
    with refused(UnusableValue, *culprits):
        read_spans(TEXT, value)


def test_columns_are_known_by_what_they_hold() -> None:
    spans = [[0, 4, "PER"]]
    assert find_columns({"text": TEXT, "label": spans, "Comments": []}) == ("text", "label")
    assert find_columns({"id": 1, "body": TEXT, "marks": spans}) == ("body", "marks")
    assert find_columns({"data": {"text": TEXT, "id": "q"}, "annotations": [{"result": []}]}) == (
        "data.text",
        "annotations",
    )
    assert find_columns({"text": TEXT, "label": "PER"}) is None
    with refused(DataError, "'marks'", "title, body", "dataset.columns.tokens", "dataset.columns.tags=marks"):
        find_columns({"title": TEXT, "body": TEXT, "marks": spans})
