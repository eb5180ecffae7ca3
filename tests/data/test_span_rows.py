"""Texts with spans become words with tags that mark the same characters."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.encoding.words import word_offsets
from ftlab.data.rows.row import UnusableValue
from ftlab.data.rows.spans import CharSpan, SpannedText, read_spans
from ftlab.data.rows.tags import entity_spans
from ftlab.data.span_rows import to_words
from tests.data.making import build, dataset, jsonl
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

CONLL = "ftlab.data.sources.conll.read"
NUMBERS = range(10, 40)


def made(path: Path, content: Any, **settings: Any) -> DataModule:
    if path.suffix == ".json":
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        jsonl(path, content)
    return build(dataset("token_classification", {"_target_": CONLL, "train": str(path)}, **settings))


@st.composite
def _spanned_texts(draw: st.DrawFn) -> SpannedText:
    text = draw(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30))
    edges = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return read_spans(text, [[*pair, draw(st.sampled_from("AB"))] for pair in pairs if text[slice(*pair)].strip()])


@given(_spanned_texts())
def test_words_and_tags_mark_the_characters_of_the_spans(spanned: SpannedText) -> None:
    words, tags, _ = to_words(spanned)
    offsets = word_offsets(spanned.text, words)
    assert len(words) == len(tags)
    marked = [CharSpan(offsets[first][0], offsets[end - 1][1], name) for name, first, end in entity_spans(tags)]
    assert marked == [*spanned.spans]
    assert "".join("".join(words).split()) == "".join(spanned.text.split())


def test_words_are_split_at_the_edges_of_spans_and_counted() -> None:
    words, tags, cut = to_words(read_spans("In Annaberg, 北京大学!", [[3, 7, "PER"], [13, 15, "LOC"]]))
    assert [*zip(words, tags, strict=True)] == [
        *(("In", "O"), ("Anna", "B-PER"), ("berg", "O"), (",", "O")),
        *(("北", "B-LOC"), ("京", "I-LOC"), ("大", "O"), ("学", "O"), ("!", "O")),
    ]
    assert cut == 1


def test_the_tokens_of_a_row_are_its_words() -> None:
    tokens = [
        {"text": "Anna", "start": 0, "end": 4},
        {"text": " ", "start": 4, "end": 5},
        {"text": "x-y", "start": 5, "end": 8},
    ]
    assert to_words(read_spans("Anna x-y", [[0, 4, "PER"]], tokens))[:2] == (["Anna", "x-y"], ["B-PER", "O"])
    with refused(UnusableValue, "tokens"):
        to_words(read_spans("Anna x-y", [[5, 6, "PER"]], tokens))


ROWS: dict[str, Any] = {
    "doccano.jsonl": [{"id": n, "text": f"Anna {n}", "label": [[0, 4, "PER"]], "Comments": []} for n in NUMBERS],
    "lists.json": [[f"Anna {n}", {"entities": [[0, 4, "PER"]]}] for n in NUMBERS],
    "lists.jsonl": [[f"Anna {n}", {"entities": [[0, 4, "PER"]]}] for n in NUMBERS],
    "annotator.json": {
        "classes": ["PER"],
        "annotations": [[f"Anna {n}", {"entities": [[0, 4, "PER"]]}] for n in NUMBERS],
    },
    "studio.json": [
        {
            "data": {"text": f"Anna {n}"},
            "annotations": [{"result": [{"value": {"start": 0, "end": 4, "labels": ["PER"]}}]}],
        }
        for n in NUMBERS
    ],
    "prodigy.jsonl": [
        {
            "text": f"Anna {n}",
            "tokens": [{"start": 0, "end": 4}, {"start": 5, "end": 7}],
            "spans": [{"start": 0, "end": 4, "label": "PER"}],
        }
        for n in NUMBERS
    ],
}


@pytest.mark.parametrize("name", ROWS)
def test_files_of_annotation_tools_are_read(name: str, tmp_path: Path) -> None:
    data = made(tmp_path / name, ROWS[name])
    rows = [row for split in data.splits.values() for row in split]
    assert sorted(row.values["tokens"][1] for row in rows) == [str(n) for n in NUMBERS]
    assert {(*row.values["tags"], row.values["tokens"][0]) for row in rows} == {("B-PER", "O", "Anna")}
    assert any("character" in note for note in data.origin.notes)


def test_columns_can_be_named_or_left_to_be_detected(tmp_path: Path) -> None:
    rows = [{"text": "no", "body": f"Anna {n}", "marks": [[0, 4, "PER"]]} for n in NUMBERS]
    data = made(tmp_path / "a.jsonl", rows, columns={"tokens": "body", "tags": "marks"})
    assert data.splits["train"][0].values["tokens"][0] == "Anna"
    source = {"train": jsonl(tmp_path / "b.jsonl", ROWS["doccano.jsonl"])}
    data = build(dataset("token_classification", source, columns={"tokens": None, "tags": None}))
    assert data.task.labels == ("O", "B-PER", "I-PER")


@pytest.mark.parametrize(
    ("row", "culprits"),
    [
        ({"text": "x", "label": [[0, 9, "PER"]]}, ("'label'", "0 to 9")),
        ({"text": "Anna", "label": [[0, 4, "PER"]], "answer": "reject"}, ("'reject'",)),
        ({"text": None, "label": [[0, 4, "PER"]]}, ("text",)),
        ({"text": " ", "label": []}, ("tokens",)),
    ],
)
def test_rows_that_cannot_be_used_are_named(row: dict[str, Any], culprits: tuple[str, ...], tmp_path: Path) -> None:
    rows = [*ROWS["doccano.jsonl"], row]
    with refused(DataError, "a.jsonl:31", *culprits):
        made(tmp_path / "a.jsonl", rows)
    assert made(tmp_path / "a.jsonl", rows, on_bad_rows="skip").dropped.values()


def test_a_task_that_nobody_annotated_has_no_entities_to_learn_from(tmp_path: Path) -> None:
    rows = [*ROWS["studio.json"], {"data": {"text": "Anna"}, "annotations": []}]
    with refused(DataError, "a.json:1, item 31", "annot"):
        made(tmp_path / "a.json", rows)


def test_offsets_that_cut_words_are_doubted(tmp_path: Path) -> None:
    data = made(tmp_path / "a.jsonl", [{"text": f"Annabel {n}", "label": [[0, 6, "PER"]]} for n in NUMBERS])
    states(data.warnings[0], "30 of 30")
