"""Next to a prediction stands the text of its own row, as it is in the file, and where it comes from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.data.base import DataModule
from ftlab.data.encoding import token_cache
from ftlab.data.excerpts import excerpts_of_tests
from ftlab.data.mixture import build_mixture
from ftlab.data.rows.excerpt import EXCERPT_CHARACTERS, Excerpt, make_excerpt
from tests.data.making import budget, build, dataset, jsonl, loading
from tests.fixtures.checkpoints import tiny
from tests.fixtures.tasks import INSTRUCTION

Tokenizers = dict[str, PreTrainedTokenizerBase]

CHINESE = "我们今天去北京，天气很好。"
TRAIN: dict[str, list[dict[str, Any]]] = {
    "classification": [{"text": f"number {n}", "label": "ab"[n % 2]} for n in range(20)],
    "multilabel": [{"text": f"number {n}", "labels": ["a", "b"][: n % 3]} for n in range(20)],
    "regression": [{"text": f"number {n}", "score": n} for n in range(20)],
    "token_classification": [{"tokens": ["number", str(n)], "tags": ["O", "B-N"]} for n in range(20)],
    "seq2seq": [{"source": f"say {n}", "target": str(n)} for n in range(20)],
    "instruction": [{"prompt": f"say {n}", "input": "", "response": str(n)} for n in range(20)],
}


def _data(task: str, tests: list[dict[str, Any]], folder: Path, **settings: Any) -> DataModule:
    train, test = jsonl(folder / "train.jsonl", TRAIN[task]), folder / "test.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) for row in tests]
    test.write_text("\n".join(lines), encoding="utf-8")
    return build(dataset(task, {"train": train, "val": train, "test": str(test)}, **settings))


@pytest.mark.parametrize("is_cached", [False, True])
@pytest.mark.parametrize(
    ("task", "row", "text", "expected"),
    [
        ("classification", {"text": f"  Mixed CASE, {CHINESE}\n", "label": "a"}, f"Mixed CASE, {CHINESE}", None),
        ("multilabel", {"text": CHINESE, "labels": ["a"]}, CHINESE, None),
        ("regression", {"text": CHINESE, "score": 1}, CHINESE, None),
        (
            "token_classification",
            {"tokens": ["北", "京", "is", "BIG"], "tags": ["B-N", "O", "O", "O"]},
            "北京 is BIG",
            None,
        ),
        ("seq2seq", {"source": CHINESE, "target": "Good weather."}, CHINESE, "Good weather."),
        ("instruction", {"prompt": CHINESE, "input": "A b", "response": "好。"}, f"{CHINESE}\nA b", "好。"),
        (
            "instruction",
            {"messages": [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate("abcd")]},
            "c",
            "d",
        ),
    ],
)
def test_each_kind_shows_its_rows_own_text(
    task: str,
    row: dict[str, Any],
    text: str,
    expected: str | None,
    is_cached: bool,
    tmp_path: Path,
    tokenizers: Tokenizers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(token_cache, "_WORTH_KEEPING", 1 if is_cached else 10**9)
    settings: dict[str, Any] = {"prefix": "translate: "} if task == "seq2seq" else {}
    if "messages" in row:
        settings = {"columns": {"messages": "messages"}}
        monkeypatch.setitem(TRAIN, task, [row] * 20)
    data = _data(task, [row, TRAIN[task][0], row], tmp_path, **settings)
    tokenizer = tokenizers["gpt2" if task in ("seq2seq", "instruction") else "bert"]
    data.tokenize(tokenizer)
    assert (data.source_of_tokens is not None) == is_cached
    data.free_rows()
    first, _, last = excerpts_of_tests(data, tokenizer)
    assert first == Excerpt(text, "test.jsonl:1", expected)
    assert last == Excerpt(text, "test.jsonl:3", expected)


def test_of_a_pair_both_texts_are_shown(
    tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"text": "long " * 500, "pair": "The other.", "label": "a"}
    monkeypatch.setitem(TRAIN, "classification", [{**row, "label": "ab"[n % 2]} for n in range(20)])
    data = _data("classification", [row], tmp_path, columns={"text": "text", "text_pair": "pair", "label": "label"})
    data.tokenize(tokenizers["bert"])
    (excerpt,) = excerpts_of_tests(data, tokenizers["bert"])
    assert excerpt is not None
    assert excerpt.text.endswith("long…\nThe other.")
    assert len(excerpt.text) <= EXCERPT_CHARACTERS


def test_rows_that_were_left_out_move_no_text(tmp_path: Path, tokenizers: Tokenizers) -> None:
    long, a, b = ({"prompt": text, "input": "", "response": text.upper()} for text in ("word " * 100, "a", "b"))
    tests = [long, a, long, b, long]
    data = _data("instruction", [*tests, a], tmp_path, template="plain")
    data.tokenize(tokenizers["gpt2"])
    assert data.rows["test"] == 3
    found = excerpts_of_tests(data, tokenizers["gpt2"])
    assert found == [
        Excerpt("a", "test.jsonl:2", "A"),
        Excerpt("b", "test.jsonl:4", "B"),
        Excerpt("a", "test.jsonl:6", "A"),
    ]


def test_each_turn_that_an_encoder_decoder_learns_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 3, "aAbBcC", strict=True)]
    turns[3]["weight"] = 0
    monkeypatch.setitem(TRAIN, "instruction", [{"messages": turns}] * 20)
    data = _data("instruction", [{"messages": turns}], tmp_path, template="plain", columns={"messages": "messages"})
    tokenizer = AutoTokenizer.from_pretrained(tiny("t5"))
    data.tokenize(tokenizer, task=INSTRUCTION.for_architecture("encoder-decoder"), decoder_start=0)
    where = "test.jsonl:1"
    assert excerpts_of_tests(data, tokenizer) == [Excerpt("a", where, "A"), Excerpt("c", where, "C")]


@pytest.mark.parametrize(("task", "kind"), [("text", "gpt2"), ("text", "llama"), ("masked_lm", "bert")])
def test_running_text_is_shown_as_it_is_written(
    task: str, kind: str, tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An example spans documents; its text is cut out of them where its tokens begin and end."""
    # a character of several tokens may be cut in two, and is then in both examples
    texts = [f"The Market FELL on day {n}: {CHINESE if kind == 'bert' else 'Ouch.'}" for n in range(60)]
    monkeypatch.setitem(TRAIN, task, [{"text": text} for text in texts])
    data = _data(task, TRAIN[task], tmp_path, max_length=16)
    tokenizer = tokenizers[kind]
    data.tokenize(tokenizer)
    found = excerpts_of_tests(data, tokenizer)
    assert len(found) == data.rows["test"] > 60
    assert found[0] is not None
    assert found[0].where == "test.jsonl:1"
    assert str(found[0].text).startswith("The Market FELL")
    assert "".join("".join(str(excerpt.text).split()) for excerpt in found if excerpt) == "".join(
        "".join(text.split()) for text in texts
    ), "together they are the file"
    wheres = [int(excerpt.where.rpartition(":")[2]) for excerpt in found if excerpt]
    assert wheres == sorted(wheres)
    assert wheres[-1] >= 59


def test_the_parts_of_a_mixture_follow_one_another(tmp_path: Path, tokenizers: Tokenizers) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    films = jsonl(tmp_path / "a" / "films.jsonl", TRAIN["classification"])
    stars = jsonl(tmp_path / "b" / "stars.jsonl", TRAIN["regression"])
    config = dataset("classification", {"train": films}).model_copy(
        update={
            "name": "mix",
            "task": "mixture",
            "parts": {
                "films": dataset("classification", {"train": films}),
                "stars": dataset("regression", {"train": stars}),
            },
        }
    )
    data = build_mixture(config, budget=budget(), loading=loading(), max_length=64)
    data.tokenize(tokenizers["bert"], model="tiny", task=data.task)
    found = excerpts_of_tests(data, tokenizers["bert"])
    names = [excerpt.where.partition(":")[0] for excerpt in found if excerpt]
    assert (
        names == ["films.jsonl"] * data.parts["films"].rows["test"] + ["stars.jsonl"] * data.parts["stars"].rows["test"]
    )


def test_an_excerpt_is_short_and_its_place_is_printable() -> None:
    excerpt = make_excerpt(["x" * 1000], "a\x1b[2J\udc80.csv:1", ["y" * 1000, "z"])
    assert str(excerpt.text) == "x" * (EXCERPT_CHARACTERS - 1) + "…"
    assert excerpt.where == r"a\x1b[2J\udc80.csv:1"
    assert str(excerpt.expected).endswith("y…")
    assert make_excerpt(["a"], "b", ["c ", "d"]).expected == "c | d"
    assert make_excerpt([], "b") == Excerpt("", "b"), "a kind of a user's may read nothing as text"


def test_solved_examples_in_front_are_not_the_rows_own_text(tmp_path: Path, tokenizers: Tokenizers) -> None:
    row = {"prompt": CHINESE, "input": "", "response": "好。"}
    data = _data("instruction", [row], tmp_path, template="plain")
    data.tokenize(tokenizers["gpt2"], task=replace(data.task, shots=2, shot_tokens=16))
    assert len(data.demonstrations) == 2
    assert excerpts_of_tests(data, tokenizers["gpt2"]) == [Excerpt(CHINESE, "test.jsonl:1", "好。")]
