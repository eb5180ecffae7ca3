from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from ftlab.data.rows import Row
from ftlab.data.text import TextData
from tests.data.making import build, dataset, jsonl, one_epoch

Tokenizers = dict[str, PreTrainedTokenizerBase]


@pytest.fixture
def source(tmp_path: Path) -> dict[str, str]:
    return {"train": jsonl(tmp_path / "a.jsonl", [{"text": f"The market fell on day {n}.\n"} for n in range(300)])}


def test_nothing_is_lost_and_nothing_is_invented(source: dict[str, str], tokenizers: Tokenizers) -> None:
    tokenizer = tokenizers["gpt2"]
    data = build(dataset("text", source))
    data.tokenize(tokenizer)
    for split, rows in data.splits.items():
        examples = data.encode(tokenizer, rows).examples
        stream = np.concatenate([example.input_ids for example in examples])
        assert tokenizer.decode(stream) == "".join(row.values["text"] + tokenizer.eos_token for row in rows)
        assert {len(example.input_ids) for example in examples[:-1]} <= {64}
        assert data.rows[split] == len(examples) == len(set(data.example_ids(split)))


def test_every_token_is_learned_and_padding_is_not(source: dict[str, str], tokenizers: Tokenizers) -> None:
    data = build(dataset("text", source))
    data.tokenize(tokenizers["gpt2"])
    batches = one_epoch(data)
    for batch in batches:
        real = batch["attention_mask"] == 1
        assert torch.equal(batch["labels"][real], batch["input_ids"][real])
        assert (batch["labels"][~real] == -100).all()
    assert len(batches) > 1


def test_neighbouring_rows_stay_together() -> None:
    rows = [Row({"text": f"line {n}"}, "") for n in range(250)]
    keys = [unit.key for unit in TextData.units(rows)]
    assert len(keys) == 250
    assert len(set(keys)) == 125
    assert all(keys[n] == keys[n + 1] for n in range(0, 250, 2))


def test_splits_are_blocks(source: dict[str, str]) -> None:
    data = build(dataset("text", source))
    assert data.rows == {"train": 210, "val": 30, "test": 60}
    lines = [row.where for row in data.splits["test"]]
    numbers = [int(where.rpartition(":")[2]) for where in lines]
    assert all(numbers[n + 2] - numbers[n] == 2 for n in range(0, len(numbers), 3))  # blocks of 3 rows


def test_blank_rows_are_left_out_where_asked(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": f"line {n}" if n % 2 else ""} for n in range(60)]
    data = build(dataset("text", {"train": jsonl(tmp_path / "a.jsonl", rows)}, on_bad_rows="skip"))
    assert data.dropped == {"incomplete": 30}
    assert sum(data.rows.values()) == 30


def test_rows_seen_in_training_are_counted_whatever_their_blocks(source: dict[str, str], tmp_path: Path) -> None:
    rows = [{"text": f"The market fell on day {n}.\n"} for n in (7, 8, 1000)]
    data = build(dataset("text", {**source, "test": jsonl(tmp_path / "test.jsonl", rows)}, val_fraction=0.01))
    assert data.rows["train"] > 200  # blocks of two rows or more; those of the test rows hold one
    assert data.warnings == ["2 of the 3 test rows are in training too, word for word."]
