from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.classification import training_labels
from ftlab.data.rows.row import Row
from tests.data.making import budget, build, dataset, jsonl, one_epoch, reviews
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

Tokenizers = dict[str, PreTrainedTokenizerBase]


def _labelled(*names: str) -> list[Row]:
    return [Row({"text": "a", "label": name}, f"a.csv:{line}") for line, name in enumerate(names, 2)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["good", "bad", "good"], ("bad", "good")),
        (["10", "9", "-1", "1.5"], ("-1", "1.5", "9", "10")),
        (["10", "9", "nan"], ("10", "9", "nan")),
        ([" good", "bad "], ("bad", "good")),
        (["差评", "好评"], ("好评", "差评")),
    ],
)
def test_labels_are_sorted_whatever_the_order_of_the_rows(names: list[str], expected: tuple[str, ...]) -> None:
    for order in (names, names[::-1]):
        assert training_labels({"train": _labelled(*order), "val": [], "test": []}) == expected


def test_a_label_that_training_never_saw_is_named_with_its_line() -> None:
    splits = {"train": _labelled("a", "b"), "val": _labelled("a"), "test": _labelled("a", "b", "c")}
    with refused(DataError, "a.csv:4", "'c'", "test"):
        training_labels(splits)


def test_one_class_is_no_classification() -> None:
    with refused(DataError, "a.csv:2", "'a'"):
        training_labels({"train": _labelled("a", "a"), "val": [], "test": []})


def test_examples_hold_class_ids_and_are_cut(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": "the film " * (30 if n < 5 else 1), "label": "ba"[n % 2]} for n in range(20)]
    files = {split: jsonl(tmp_path / f"{split}.jsonl", rows) for split in ("train", "val", "test")}
    data = build(dataset("classification", files, max_length=16), max_length=16)
    assert data.task.labels == ("a", "b")
    data.tokenize(tokenizers["bert"])
    batch = next(iter(data.test_dataloader()))
    assert batch["labels"].tolist() == [1, 0] * 4
    assert batch["input_ids"].shape == batch["token_type_ids"].shape == (8, 16)
    assert batch["attention_mask"].sum(1).tolist()[:6] == [16] * 5 + [4]  # [CLS] the film [SEP]
    assert data.truncated_share == 0.25
    assert len(data.warnings) == 2
    for warning, split in zip(data.warnings, ("val", "test"), strict=True):
        states(warning, 20, split)


def test_pairs(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": f"question {n}", "other": "the answer", "label": n % 2} for n in range(20)]
    source = {"train": jsonl(tmp_path / "a.jsonl", rows)}
    data = build(dataset("classification", source, columns={"text": "text", "text_pair": "other", "label": "label"}))
    data.tokenize(tokenizers["bert"])
    batch = one_epoch(data)[0]
    assert set(batch["token_type_ids"].unique().tolist()) == {0, 1}
    assert "the answer" in tokenizers["bert"].decode(batch["input_ids"][0])


def test_a_tokenizer_without_segments_and_padding(tmp_path: Path, tokenizers: Tokenizers) -> None:
    data = build(dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", reviews(20))}))
    data.tokenize(tokenizers["gpt2"])
    assert "token_type_ids" not in one_epoch(data)[0]
    assert data.unknown_token_share == 0.0  # its unk is its eos: byte-level tokenizers know everything


def test_unknown_vocabulary_is_warned_of(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": f"{'ᚠᚢᚦ ' * (n % 4)} the {'film ' * (n // 4)}", "label": n % 2} for n in range(40)]
    data = build(dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", rows)}))
    data.tokenize(tokenizers["bert"], model="tiny")
    assert data.unknown_token_share is not None
    assert 0 < data.unknown_token_share < 0.5
    (warning,) = [text for text in data.warnings if "tiny" in text]
    states(warning, "unknown", "tokenizer", "vocabulary")


def test_classes_that_a_budget_leaves_out_are_warned_of_and_keep_their_ids(tmp_path: Path) -> None:
    config = dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", reviews(100, labels=list("abcde")))})
    data = build(config, budget=budget(train_rows=3))
    assert data.task.labels == tuple("abcde")
    (warning,) = data.warnings
    states(warning, 2, 5, "train", "d, e")


def test_budget_limits_each_split(tmp_path: Path) -> None:
    config = dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", reviews(100))})
    data = build(config, budget=budget(train_rows=10, val_rows=4, test_rows=6))
    assert data.rows == {"train": 10, "val": 4, "test": 6}


@pytest.mark.parametrize(
    ("rows", "settings", "culprits"),
    [
        ([*reviews(9), {"text": "fine"}], {}, ("train.jsonl:10", "label")),
        ([*reviews(9), {"text": " ", "label": "good"}], {}, ("train.jsonl:10", "'text'")),
        (
            [{"text": "a", "label": ""}] * 9,
            {"on_bad_rows": "skip"},
            ("train", "incomplete: 9", "dataset.columns"),
        ),
        (reviews(9), {"template": "chat"}, ("template", "classification")),
        (reviews(9), {"loss_on": "all"}, ("loss_on", "classification")),
    ],
)
def test_unusable_rows(
    tmp_path: Path, rows: list[dict[str, Any]], settings: dict[str, Any], culprits: tuple[str, ...]
) -> None:
    config = dataset("classification", {"train": jsonl(tmp_path / "train.jsonl", rows)}, **settings)
    with refused(DataError, *culprits):
        build(config)


def test_incomplete_rows_are_counted(tmp_path: Path) -> None:
    rows = [*reviews(30), {"text": "fine"}, {"label": "good"}]
    data = build(dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", rows)}, on_bad_rows="skip"))
    assert data.dropped == {"incomplete": 2}
    assert sum(data.rows.values()) == 30
