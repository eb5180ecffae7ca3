import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from ftlab.data.encoding.tokens import bytes_per_token
from ftlab.data.loading.batches import Loading
from ftlab.data.rows.row import Row
from ftlab.data.text import TextData
from ftlab.tasks.language_model import LanguageModelScores
from tests.data.making import build, dataset, jsonl, one_epoch
from tests.fixtures.statements import states

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
    keys = [unit.group for unit in TextData.split_keys(rows)]
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
    (warning,) = data.warnings
    states(warning, 2, 3, "test")


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_the_tokens_of_a_text_share_its_bytes_out(kind: str, text: str, tokenizers: Tokenizers) -> None:
    encoded = tokenizers[kind](text, return_offsets_mapping=True)
    ends = [end for _, end in encoded["offset_mapping"]]
    sizes = bytes_per_token(text, ends, len(ends) + 1)
    assert len(sizes) == len(ends) + 1
    assert sizes.sum() == len(text.encode())
    assert (sizes >= 0).all()


def test_bytes_are_those_of_the_tokens_that_are_predicted(tmp_path: Path, tokenizers: Tokenizers) -> None:
    """All of the text but what is behind the first token of each example; end-of-text tokens have none."""
    tokenizer = tokenizers["gpt2"]
    texts = [f"Tag {n}: déjà vu, 今天天气很好。 " for n in range(120)]
    data = build(dataset("text", {"train": jsonl(tmp_path / "a.jsonl", [{"text": text} for text in texts])}))
    rows = data.splits["train"]
    examples = data.encode(tokenizer, rows).examples
    first = [tokenizer.convert_ids_to_tokens([example.input_ids[0]])[0] for example in examples]
    beginnings = sum(0 if token == tokenizer.eos_token else len(token) for token in first)  # a character per byte
    counted = sum(example.text_bytes for example in examples)
    whole = sum(len(row.values["text"].encode()) for row in rows)
    assert counted == pytest.approx(whole - beginnings, abs=3 * len(examples))  # a character cut in two is the first's
    assert len(examples) > 20


def test_bits_per_byte(tmp_path: Path, tokenizers: Tokenizers) -> None:
    """A model that finds every token equally likely needs log2(vocabulary) bits for each."""
    data = build(
        dataset("text", {"train": jsonl(tmp_path / "a.jsonl", [{"text": f"{n} " + "x" * 300} for n in range(40)])})
    )
    data.tokenize(tokenizers["gpt2"])
    scores = LanguageModelScores(bits_per_byte=True)
    tokens = text_bytes = 0
    for batch in data.test_dataloader():
        labelled = int((batch["labels"][:, 1:] != -100).sum())
        scores.update(torch.full((labelled,), math.log(640)), torch.zeros(labelled), batch["text_bytes"])
        tokens += labelled
        text_bytes += int(batch["text_bytes"].sum())
    found = scores.compute()["bits_per_byte"]
    assert found.value == pytest.approx(tokens * math.log2(640) / text_bytes, rel=1e-5)
    assert found.n == text_bytes
    empty = LanguageModelScores(bits_per_byte=True)
    empty.update(torch.ones(3), torch.ones(3))
    unknown = empty.compute()["bits_per_byte"]
    assert unknown.value is None
    assert "tokenizer" in unknown.status


def test_the_end_of_a_document_is_the_only_control_token_of_a_corpus(tokenizers: Tokenizers) -> None:
    for kind, name in (("gpt2", "<|im_start|>"), ("llama", "<|endoftext|>")):
        tokenizer = tokenizers[kind]
        end = str(tokenizer.eos_token)
        text = f"One {name} day.{end}Two{end}{end}"
        data = TextData(
            {"train": [], "val": [], "test": []},
            max_length=1000,
            loading=Loading(micro_batch_size=2, eval_batch_size=2),
        )
        (example,) = data.encode(tokenizer, [Row({"text": text}, ""), Row({"text": "Three"}, "")]).examples
        assert tokenizer.decode(example.input_ids) == f"{text}Three{end}"
        assert (example.input_ids == tokenizer.eos_token_id).sum() == 4
        assert tokenizer.convert_tokens_to_ids(name) not in set(example.input_ids.tolist()) - {tokenizer.eos_token_id}
        first = len(str(tokenizer.decode(example.input_ids[:1])).encode())
        assert example.text_bytes == len(f"{text}Three".encode()) - first
