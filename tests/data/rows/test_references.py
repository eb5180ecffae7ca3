"""References: of several right responses the first is learned, and the others score what is written."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from tests.data.making import build, dataset, jsonl
from tests.fixtures.refusals import refused

Tokenizers = dict[str, PreTrainedTokenizerBase]


def _values(task: str, row: dict[str, Any], folder: Path, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what such rows are read as, and the notes on them."""
    settings = {"columns": dict.fromkeys(("prompt", "response") if task == "instruction" else ("source", "target"))} | (
        settings
    )
    path = jsonl(folder / "a.jsonl", [row] * 2)
    data = build(dataset(task, {"train": path, "val": path, "test": path}, **settings))
    return dict(data.splits["train"][0].values), [*data.origin.notes]


@pytest.mark.parametrize(
    ("row", "learned", "others"),
    [
        ({"prompt": "a", "response": ["b", " b ", "c", "", "b"]}, "b", ["c"]),
        ({"prompt": "a", "response": ["b"]}, "b", None),
        ({"prompt": "a", "response": [4, 4.5]}, "4", ["4.5"]),
        ({"question": "a", "answers": {"text": ["b", "c"], "answer_start": [0, 4]}}, "b", ["c"]),
        ({"question": "a", "answers": ["今天", "明天"]}, "今天", ["明天"]),
        ({"question": "a", "answer": ["b", "c"], "references": ["d", "b", None]}, "b", ["c", "d"]),
    ],
)
def test_the_first_of_a_list_is_learned(
    row: dict[str, Any], learned: str, others: list[str] | None, tmp_path: Path
) -> None:
    values, notes = _values("instruction", row, tmp_path)
    assert (values["response"], values.get("references")) == (learned, others)
    told = [note for note in notes if note.startswith("references: ")]
    assert len(told) == (others is not None)
    if others:
        assert f"6 of 6 rows have several, up to {1 + len(others)}" in told[0]


def test_targets_and_references_of_columns_that_are_named(tmp_path: Path) -> None:
    values, _ = _values("seq2seq", {"source": ["one", "text"], "target": ["b", "c"]}, tmp_path)
    assert values == {"source": "one text", "target": "b", "references": ["c"]}
    named = {"source": "en", "target": "de", "references": "more.texts"}
    row: dict[str, Any] = {"en": "a", "de": ["b"], "more": {"texts": ["c", "d"]}}
    values, _ = _values("seq2seq", row, tmp_path, columns=named)
    assert values["references"] == ["c", "d"]
    row = {"en": "a", "de": ["b"], "more": {"texts": "['c', 'd']"}}  # as a table holds it
    values, _ = _values("seq2seq", row, tmp_path, columns=named)
    assert values["references"] == ["c", "d"]


def test_no_right_text_and_what_is_no_list_of_texts_are_refused(tmp_path: Path) -> None:
    with refused(DataError, "a.jsonl:1", "no response"):
        _values("instruction", {"question": "a", "answers": {"text": [], "answer_start": []}}, tmp_path)
    with refused(DataError, "a.jsonl:1", "'response'", "a list"):
        _values("instruction", {"prompt": "a", "response": [{"role": "user", "content": "a"}]}, tmp_path)
    named = {"prompt": "prompt", "response": "response", "references": "references"}
    with refused(DataError, "a.jsonl:1", "'references'", "list of texts"):
        _values("instruction", {"prompt": "a", "response": "b", "references": [["c"]]}, tmp_path, columns=named)


@pytest.mark.parametrize("cited", [[{"title": "A book", "year": 2001}], [["c"]], {"text": "c"}])
def test_a_column_of_that_name_that_holds_something_else_is_not_read(cited: object, tmp_path: Path) -> None:
    """Nobody named it: it may list the sources that a text cites."""
    values, notes = _values("instruction", {"prompt": "a", "response": "b", "references": cited}, tmp_path)
    assert values == {"prompt": "a", "response": "b"}
    assert any(note.startswith("not read: column references") for note in notes)


def test_a_list_that_is_a_chat_is_one(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    values, notes = _values("instruction", {"messages": turns, "references": ["c"]}, tmp_path)
    assert values == {"messages": json.dumps(turns, separators=(",", ":"))}
    assert not any(note.startswith("references: ") for note in notes)


def test_references_are_no_input(tmp_path: Path, tokenizers: Tokenizers) -> None:
    """Rows of one prompt are in one split, whatever else is right, and tokens are those of the first response."""
    rows = [{"prompt": f"a {n // 2}", "response": ["b", f"c {n}"]} for n in range(40)]
    settings = {"columns": {"prompt": "prompt", "response": "response"}, "template": "plain"}
    data = build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", rows)}, **settings))
    prompts = [{row.values["prompt"] for row in split} for split in data.splits.values()]
    assert not set.intersection(prompts[0], prompts[1] | prompts[2])
    tokenizer = tokenizers["gpt2"]
    data.tokenize(tokenizer)
    assert tokenizer.decode(data.examples("test")[0].input_ids).endswith("b<|endoftext|>")
    prompt = next(data.prompts_with_references(tokenizer, data.splits["test"]))  # type: ignore[attr-defined]
    assert prompt.references == ("b", *data.splits["test"][0].values["references"])
