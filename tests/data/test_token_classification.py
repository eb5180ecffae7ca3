"""Words and tags: labels of tokens, and what a sentence loses."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.loading.collate import Collate
from tests.data.making import build, dataset, jsonl
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

Tokenizers = dict[str, PreTrainedTokenizerBase]

SENTENCES = [
    {
        "tokens": ["The", "market", "in", "New", "York", "fell", str(n)],
        "tags": ["O", "O", "O", "B-LOC", "I-LOC", "O", "O"],
    }
    for n in range(30)
]


def made(folder: Path, rows: Sequence[dict[str, Any]], **settings: Any) -> DataModule:
    test = settings.pop("test", None)
    source = {"train": jsonl(folder / "train.jsonl", rows)}
    if test:
        source |= {"test": jsonl(folder / "test.jsonl", test), "val": jsonl(folder / "val.jsonl", test)}
    return build(dataset("token_classification", source, **settings))


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_the_first_token_of_each_word_is_labelled(kind: str, tokenizers: Tokenizers, tmp_path: Path) -> None:
    data = made(tmp_path, SENTENCES)
    data.tokenize(tokenizers[kind])
    assert data.task.labels == ("O", "B-LOC", "I-LOC")
    for batch in data.test_dataloader():
        for row in range(len(batch["index"])):
            places, tags = batch["places"][row], batch["tags"][row]
            assert tags.tolist() == [0, 0, 0, 1, 2, 0, 0]
            assert batch["labels"][row][places].tolist() == tags.tolist()
            assert int((batch["labels"][row] != -100).sum()) == len(tags)
            words = tokenizers[kind].decode(batch["input_ids"][row][places[3] : places[5]])
            assert words.strip().lower() == "new york"


def test_padding_on_the_left_moves_the_places(tokenizers: Tokenizers, tmp_path: Path) -> None:
    rows = [*SENTENCES, {"tokens": ["York"], "tags": ["B-LOC"]}]
    data = made(tmp_path, rows)
    data.tokenize(tokenizers["gpt2"])
    examples = [*enumerate(data.tokenized_split("train").examples)]
    batch = Collate(0, "left")(examples)
    for row in range(len(examples)):
        seen = batch["places"][row] >= 0
        assert torch.equal(batch["labels"][row][batch["places"][row][seen]], batch["tags"][row][seen])
    assert len({tuple(row) for row in (batch["tags"] == -100).tolist()}) == 2


def test_words_that_are_cut_off_stay_in_the_measure(tokenizers: Tokenizers, tmp_path: Path) -> None:
    long = {"tokens": ["market"] * 70 + ["York"], "tags": ["O"] * 70 + ["B-LOC"]}
    data = made(tmp_path, [*SENTENCES, long], test=[long, SENTENCES[0]])
    data.tokenize(tokenizers["bert"])
    (batch,) = data.test_dataloader()
    assert int((batch["tags"][0] != -100).sum()) == 71
    assert int((batch["places"][0] >= 0).sum()) == 62
    assert data.truncated_share == pytest.approx(1 / 31)
    beyond = [warning for warning in data.warnings if "max_length=64" in warning]
    train, test = (next(one for one in beyond if f" {split} " in one) for split in ("train", "test"))
    states(train, 9, 281, "3.2%", "max_length=64")
    states(test, 9, 78, "11.5%", "max_length=64", "predicted O")


def test_iob1_and_bioes_become_bio(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["a", "b", "c"], "tags": ["I-X", "B-X", "O"]},
        {"tokens": ["a", "b", "c", str(1)], "tags": ["B-X", "E-X", "S-Y", "O"]},
    ]
    data = made(tmp_path, [*rows, *SENTENCES], test=SENTENCES)
    assert [row.values["tags"] for row in data.splits["train"]][:2] == [["B-X", "B-X", "O"], ["B-X", "I-X", "B-Y", "O"]]
    assert data.task.labels == ("O", "B-LOC", "I-LOC", "B-X", "I-X", "B-Y", "I-Y")


def test_types_without_prefixes_are_entities_and_said(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["Ann", "Lee", "in", "Rome", str(n)], "tags": ["PER", "PER", "O", "LOC", "O"]} for n in range(30)
    ]
    data = made(tmp_path, rows)
    assert data.task.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert data.splits["test"][0].values["tags"] == ["B-PER", "I-PER", "O", "B-LOC", "O"]
    assert data.task.columns[0].metric == "f1"
    states(data.warnings[0], "'LOC'", "'PER'", "dataset.tag_scheme=words")
    assert any("IO" in note for note in data.origin.notes)
    words = made(tmp_path, rows, tag_scheme="words")
    assert words.task.labels == ("LOC", "O", "PER")
    assert words.task.columns[0].metric == "token_accuracy"
    assert not words.warnings


def test_tags_that_are_numbers_are_doubted_until_they_have_names(tmp_path: Path) -> None:
    rows = [{"tokens": ["Ann", "Lee", str(n)], "tags": [1, 2, 0]} for n in range(30)]
    states(made(tmp_path, rows).warnings[0], "dataset.label_names")
    data = made(tmp_path, rows, label_names=["O", "B-PER", "I-PER"])
    assert data.task.labels == ("O", "B-PER", "I-PER")
    assert not data.warnings
    with refused(DataError, "train.jsonl:1", "'tags'", "dataset.label_names"):
        made(tmp_path, rows, label_names=["O", "B-PER"])


def test_entities_that_begin_in_two_ways_are_counted(tmp_path: Path) -> None:
    odd = {"tokens": ["to", "York"], "tags": ["O", "I-LOC"]}
    states(made(tmp_path, [*SENTENCES, odd]).warnings[0], "1 of the 31")


def test_parts_of_speech_have_other_columns(tmp_path: Path) -> None:
    rows = [{"tokens": ["it", "rains", str(n)], "tags": ["PRON", "VERB", "NUM"]} for n in range(20)]
    data = made(tmp_path, rows)
    assert data.task.labels == ("NUM", "PRON", "VERB")
    assert [column.metric for column in data.task.columns] == ["token_accuracy", "macro_f1"]
    assert data.task.label_shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_a_type_that_training_lacks_is_missed_and_told(tokenizers: Tokenizers, tmp_path: Path) -> None:
    data = made(tmp_path, SENTENCES, test=[{"tokens": ["Paris", "York"], "tags": ["B-GPE", "B-LOC"]}])
    data.tokenize(tokenizers["bert"])
    assert data.task.labels == ("O", "B-GPE", "I-GPE", "B-LOC", "I-LOC")
    for warning, split in zip(data.warnings[:2], ("val", "test"), strict=True):
        states(warning, 1, split, "B-GPE")


@pytest.mark.parametrize(
    ("row", "culprits"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, ("2 tokens", "1 tags")),
        ({"tokens": ["a"], "tags": ["PER"]}, ("'a'", "'PER'")),
        ({"tokens": ["a"], "tags": ["B-"]}, ("'a'", "'B-'")),
        ({"tokens": ["a"], "tags": [None]}, ("'a'", "''")),
        ({"tokens": "a b", "tags": ["O"]}, ("'tokens'", "text", "list")),
        ({"tokens": [], "tags": []}, ("tokens",)),
        ({"tokens": [["a"]], "tags": ["O"]}, ("'tokens'", "list", "text")),
    ],
)
def test_what_is_broken_is_named(row: dict[str, Any], culprits: tuple[str, ...], tmp_path: Path) -> None:
    with refused(DataError, "train.jsonl:31", *culprits):
        made(tmp_path, [*SENTENCES, row])


def test_a_sentence_without_a_tag_for_each_word_can_be_left_out(tmp_path: Path) -> None:
    data = made(tmp_path, [*SENTENCES, {"tokens": ["a", "b"], "tags": ["O"]}], on_bad_rows="skip")
    assert data.dropped == {"unequal lists": 1}
    assert sum(data.rows.values()) == len(SENTENCES)


def test_one_tag_is_nothing_to_learn(tmp_path: Path) -> None:
    with refused(DataError, "train.jsonl:", "'O'", "two"):
        made(tmp_path, [{"tokens": ["a", str(n)], "tags": ["O", "O"]} for n in range(9)])


def test_sentences_without_words_may_be_left_out(tmp_path: Path) -> None:
    data = made(tmp_path, [*SENTENCES, {"tokens": [], "tags": []}], on_bad_rows="skip")
    assert data.dropped == {"incomplete": 1}


def test_the_source_does_not_matter(tmp_path: Path) -> None:
    """json, parquet and columns of text, from which the same rows come."""
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(SENTENCES), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps(SENTENCES), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, SENTENCES)), encoding="utf-8")
    lines = "\n\n".join("\n".join(map("\t".join, zip(r["tokens"], r["tags"], strict=True))) for r in SENTENCES)
    (tmp_path / "a.conll.gz").write_bytes(gzip.compress(lines.encode()))
    sources = [{"train": str(tmp_path / "a.parquet")}, {"train": str(tmp_path / "a.json")}]
    sources += [
        {"_target_": "ftlab.data.sources.conll.read", "train": str(tmp_path / name)}
        for name in ("a.conll.gz", "a.parquet", "a.json", "a.jsonl")
    ]
    assert len({build(dataset("token_classification", source)).hash for source in sources}) == 1


def test_the_texts_of_lists_are_lists(tmp_path: Path) -> None:
    lines = [f"\"['Ann', 'Lee', '{n}']\",\"['B-PER' 'I-PER' 'O']\"" for n in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["tokens,tags", *lines]), encoding="utf-8")
    data = build(dataset("token_classification", {"train": str(tmp_path / "a.csv")}))
    assert data.task.labels == ("O", "B-PER", "I-PER")
    assert data.splits["train"][0].values["tokens"][:2] == ["Ann", "Lee"]
