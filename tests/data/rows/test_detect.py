"""Columns and their roles: detected, set by hand, or set by name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlab.config.task_kind import Roles
from ftlab.core.errors import DataError
from ftlab.data.rows.detect import ROW_FORMATS, detect_columns
from ftlab.data.rows.row import BadRow, Row
from tests.data.making import build, dataset, jsonl
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

CLASSES = Roles(required=("text", "label"), optional=("text_pair",), inputs=("text", "text_pair"))
LABELS = Roles(required=("text", "labels"), optional=("text_pair",), inputs=("text",))
TARGETS = Roles(required=("text", "target"), optional=("text_pair",), inputs=("text",))
ANSWERS = Roles(required=("prompt", "response"), optional=("input",), inputs=("prompt",), conversation="messages")
SEQUENCES = Roles(required=("source", "target"), inputs=("source",))
TAGS = Roles(required=("tokens", "tags"), inputs=("tokens",), lists=("tokens", "tags"))
TEXTS = Roles(required=("text",), inputs=("text",))
ALL = (CLASSES, LABELS, TARGETS, ANSWERS, SEQUENCES, TAGS, TEXTS)

SHAREGPT = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}], "id": 1}
OPENAI = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}


def _rows(*values: dict[str, Any]) -> list[Row]:
    return [Row(value, f"a.jsonl:{number}") for number, value in enumerate(values, 1)]


def _unset(roles: Roles) -> dict[str, str | None]:
    return dict.fromkeys(roles.all)


@pytest.mark.parametrize(
    ("roles", "row", "shape", "columns"),
    [
        (ANSWERS, SHAREGPT, "sharegpt", {"messages": "conversations"}),
        (ANSWERS, OPENAI, "messages", {"messages": "messages"}),
        (ANSWERS, {"conversations": OPENAI["messages"]}, "messages", {"messages": "conversations"}),
        (ANSWERS, {**OPENAI, "prompt": "Hi", "response": "Ho"}, "messages", {"messages": "messages"}),
        (
            ANSWERS,
            {"instruction": "a", "input": "", "output": "b", "id": 7},
            "alpaca",
            {"prompt": "instruction", "response": "output", "input": "input"},
        ),
        (ANSWERS, {"instruction": "a", "output": "b"}, "alpaca", {"prompt": "instruction", "response": "output"}),
        (
            ANSWERS,
            {"instruction": "a", "context": "", "response": "b", "category": "qa"},
            "dolly",
            {"prompt": "instruction", "response": "response", "input": "context"},
        ),
        (
            ANSWERS,
            {"prompt": "a", "completion": "b"},
            "prompt/completion",
            {"prompt": "prompt", "response": "completion"},
        ),
        (ANSWERS, {"Prompt": "a", "Response": "b"}, "prompt/response", {"prompt": "Prompt", "response": "Response"}),
        (ANSWERS, {"question": "a", "answer": "b"}, "question/answer", {"prompt": "question", "response": "answer"}),
        (ANSWERS, {"指令": "a", "输出": "b"}, "指令/输出", {"prompt": "指令", "response": "输出"}),
        (ANSWERS, {"source": "a", "target": "b"}, "source/target", {"prompt": "source", "response": "target"}),
        (SEQUENCES, {"source": "a", "target": "b"}, "source/target", {"source": "source", "target": "target"}),
        (
            SEQUENCES,
            {"article": "a", "highlights": "b"},
            "document/summary",
            {"source": "article", "target": "highlights"},
        ),
        (CLASSES, {"text": "a", "label": 1}, "text/label", {"text": "text", "label": "label"}),
        (CLASSES, {"review": "a", "sentiment": 1, "id": 2}, "text/label", {"text": "review", "label": "sentiment"}),
        (LABELS, {"text": "a", "intents": ["x"]}, "text/label", {"text": "text", "labels": "intents"}),
        (TARGETS, {"text": "a", "score": 1.5}, "text/label", {"text": "text", "target": "score"}),
        (TARGETS, {"text": "a", "labels": ["x"], "score": 1.5}, "text/label", {"text": "text", "target": "score"}),
        (
            CLASSES,
            {"premise": "a", "hypothesis": "b", "label": 1},
            "pair/label",
            {"text": "premise", "label": "label", "text_pair": "hypothesis"},
        ),
        (TAGS, {"id": "0", "tokens": ["a"], "ner_tags": [0]}, "tokens/tags", {"tokens": "tokens", "tags": "ner_tags"}),
        (TAGS, {"text": "a b", "label": [[0, 1, "X"]]}, "text/spans", {"tokens": "text", "tags": "label"}),
        (TEXTS, {"text": "a", "meta": {}}, "text", {"text": "text"}),
    ],
)
def test_shapes_are_detected(roles: Roles, row: dict[str, Any], shape: str, columns: dict[str, str]) -> None:
    rows = _rows(row, row)
    found, again = detect_columns(rows, _unset(roles), roles)
    assert (found.shape, found.columns) == (shape, columns)
    assert list(again) == rows
    by_hand, _ = detect_columns(rows, _unset(roles), roles, shape)
    assert by_hand == found
    states(found.notes(999)[0], shape, 999, *(f"{role}: {column}" for role, column in columns.items()))


def test_every_shape_is_in_the_test_above() -> None:
    tested = {case[2] for case in test_shapes_are_detected.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert {shape.name for shape in ROW_FORMATS} - tested == {"input/output"}


def test_columns_that_are_set_win() -> None:
    row = {"text": "a", "label": 1, "stars": 5, "body": "b"}
    found, _ = detect_columns(_rows(row), {"text": "body", "label": "stars", "text_pair": None}, CLASSES)
    assert (found.shape, found.columns, found.notes(9)) == (None, {"text": "body", "label": "stars"}, [])
    found, _ = detect_columns(_rows(row), {"text": None, "label": "stars"}, CLASSES)
    assert found.columns == {"text": "text", "label": "stars"}
    row = {"instruction": "a", "input": "b", "output": "c"}
    found, _ = detect_columns(_rows(row), {"prompt": "instruction", "input": None, "response": "output"}, ANSWERS)
    assert found.columns == {"prompt": "instruction", "response": "output"}  # no input is wanted
    found, _ = detect_columns(_rows(OPENAI), {"messages": "messages"}, ANSWERS)
    assert found.columns == {"messages": "messages"}


def test_rows_may_lack_a_column_and_bad_rows_are_no_hint() -> None:
    rows: list[Row | BadRow] = [BadRow("a:1", "x", "y"), *_rows({"instruction": "a"}, {"output": "b", "input": "c"})]
    found, again = detect_columns(rows, {}, ANSWERS)
    assert found.shape == "alpaca"
    assert list(again) == rows
    with refused(DataError, "a:1", "y"):  # all that there is to say of such rows
        detect_columns(rows[:1], {}, ANSWERS)


@pytest.mark.parametrize(
    ("roles", "row", "shape", "culprits"),
    [
        (CLASSES, {"a": 1, "b": 2}, None, ("a.jsonl:1", "text, label ")),
        (CLASSES, {"text": "a", "b": 2}, None, ("b, text", "dataset.columns.text", "dataset.columns.label")),
        (ANSWERS, OPENAI, "sharegpt", ("a.jsonl:1", "sharegpt", "messages")),
        (ANSWERS, OPENAI, "sharegtp", ("dataset.shape=sharegtp", "mean sharegpt?")),
        (CLASSES, {"text": "a", "label": "b"}, "alpaca", ("a.jsonl:1", "alpaca", "label, text")),
        (ANSWERS, {**SHAREGPT, "chosen": {}, "rejected": {}}, None, ("a.jsonl:1", "(chosen, rejected)")),
        (ANSWERS, {**OPENAI, "label": True}, None, ("a.jsonl:1", "(label)")),
        (ANSWERS, {"messages": "Hi"}, None, ("a.jsonl:1", "messages", "dataset.columns.prompt")),
        (LABELS, {"text": "a", "toxic": "0", "rude": "1"}, None, ("dataset.columns.labels=[toxic,rude]",)),
        (CLASSES, {"text": "a", "toxic": 0.0, "rude": True}, None, ("dataset=multilabel_files", "[toxic,rude]")),
        (CLASSES, {"text": "__label__a b"}, None, ("dataset.source.format=labelled",)),
    ],
)
def test_what_has_no_shape(roles: Roles, row: dict[str, Any], shape: str | None, culprits: tuple[str, ...]) -> None:
    with refused(DataError, *culprits):
        detect_columns(_rows(row), {}, roles, shape)


def test_detection_is_said_and_kept(tmp_path: Any) -> None:
    rows = [{"instruction": f"say {n}", "input": "", "output": f"{n}"} for n in range(30)]
    unset = {"prompt": None, "input": None, "response": None}
    data = build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", rows)}, columns=unset))
    (note,) = data.origin.notes
    states(note, "alpaca", 30, "prompt: instruction, response: output, input: input")
    assert data.origin.columns == {"prompt": "instruction", "response": "output", "input": "input"}
    named = {"prompt": "instruction", "input": "input", "response": "output"}
    same = build(dataset("instruction", {"train": str(tmp_path / "a.jsonl")}, columns=named))
    assert (same.hash, same.origin.notes) == (data.hash, [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "text", "0"]) | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_NAMES = st.sampled_from([name for shape in ROW_FORMATS for names in shape.columns.values() for name in names])


@settings(max_examples=75, deadline=None)
@given(st.lists(st.dictionaries(_NAMES | st.text(max_size=4), _JSON, max_size=4), max_size=4), st.sampled_from(ALL))
def test_detection_finds_columns_that_are_there_or_refuses(values: list[dict[str, Any]], roles: Roles) -> None:
    rows = _rows(*values)
    message = None
    try:
        found, again = detect_columns(rows, {}, roles)
    except DataError as error:
        message = str(error)
    if message is not None:
        assert "\n" not in message
        return
    assert list(again) == rows
    present = {name for value in values for name in value}
    assert set(found.columns.values()) <= present
    assert not values or roles.conversation in found.columns or set(roles.required) <= found.columns.keys()


def test_a_column_is_not_taken_for_a_role_of_the_same_name_in_another_task() -> None:
    """The target of regression is a number, that of a pair of texts is what is written."""
    rows = _rows({"prompt": "a", "response": "b", "score": 3}, {"document": "a", "summary": "b", "score": 3})
    for row, text in zip(rows, ("response", "summary"), strict=True):
        found, _ = detect_columns([row], {"text": text, "target": None}, TARGETS)
        assert (found.columns, found.shape) == ({"text": text, "target": "score"}, "text/label")


def test_columns_named_like_the_roles_of_an_unknown_kind_are_detected() -> None:
    roles = Roles(required=("first", "second", "verdict"), optional=("why",), inputs=("first", "second"))
    rows = _rows({"first": "a", "second": "b", "verdict": "x", "why": "c", "id": 1})
    found, _ = detect_columns(rows, {"text": None}, roles)
    assert found.columns == {"first": "first", "second": "second", "verdict": "verdict", "why": "why"}
    assert found.shape == "first/second/verdict"
    with refused(DataError, "+dataset.columns.first=COLUMN", "+dataset.columns.second=COLUMN"):
        detect_columns(_rows({"a": "x", "b": "y", "verdict": "z"}), {"text": None, "verdict": "verdict"}, roles)
