"""Solved examples ahead of a question: which, how many, and that the question itself stays as it is."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.prompting.demonstrations import balanced_shuffle, save
from ftlab.data.prompting.templates import TEMPLATES
from ftlab.data.rows.row import Row
from ftlab.data.rows.splits import SplitKey
from tests.data.making import build, dataset, jsonl
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import INSTRUCTION

FEW = replace(INSTRUCTION, shots=2, shot_tokens=90)


@pytest.fixture
def tokenizer(
    tokenizers: dict[str, PreTrainedTokenizerBase], monkeypatch: pytest.MonkeyPatch
) -> PreTrainedTokenizerBase:
    monkeypatch.setattr(tokenizers["llama"], "model_max_length", 1000)
    return tokenizers["llama"]


def dialogues(folder: Path, template: str | None = None, **settings: Any) -> DataModule:
    rows = [
        {"prompt": f"question {n}", "input": "a film" if n % 3 else "", "response": "<|im_end|> yes " * (n % 4 + 1)}
        for n in range(40)
    ]
    source = {"train": jsonl(folder / "a.jsonl", rows)}
    return build(dataset("instruction", source, template=template, max_length=120), **settings)


def num_loss_tokens(data: DataModule, split: str = "test") -> list[list[int]]:
    labels = [example.labels for example in data.tokenized_split(split).examples]
    return [ids[ids != -100].tolist() for ids in labels if isinstance(ids, np.ndarray)]


def test_one_of_each_stratum_in_turn_and_the_seed_decides_which() -> None:
    rows = [Row({"text": str(n)}, "") for n in range(60)]
    units = [SplitKey(str(n), "abc"[min(n // 20, 2)]) for n in range(60)]
    stratum = {row.values["text"]: unit.stratum for row, unit in zip(rows, units, strict=True)}
    orders = [[row.values["text"] for row in balanced_shuffle(rows, units, seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0], key=int) == [str(n) for n in range(60)]
    assert set(Counter(stratum[text] for text in orders[0][:6]).values()) == {2}


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_question_is_that_of_zero_shot(template: str, tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    zero, few = dialogues(tmp_path, template), dialogues(tmp_path, template)
    zero.tokenize(tokenizer)
    few.tokenize(tokenizer, task=FEW)
    assert num_loss_tokens(zero)
    assert num_loss_tokens(zero) == num_loss_tokens(few)
    assert zero.example_ids("test") == few.example_ids("test")
    for alone, shown in zip(zero.tokenized_split("test").examples, few.tokenized_split("test").examples, strict=True):
        text, whole = (str(tokenizer.decode(example.input_ids)) for example in (alone, shown))
        question = text.rpartition("question ")[2]
        assert whole.endswith(question)
        for row in few.demonstrations:
            assert f"{row['prompt']}\n" in whole
            assert row["response"].strip() + "<|im_end|>" in whole  # with the end of the turn


def test_chat_turns_are_those_of_the_chat_template(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    data = dialogues(tmp_path, "chat")
    data.tokenize(tokenizer, task=FEW)
    question = data.splits["test"][0].values
    turns = []
    for row in (*data.demonstrations, question):
        request = "\n\n".join(part for part in (row["prompt"], row["input"]) if part)
        turns += [{"role": "user", "content": request}, {"role": "assistant", "content": row["response"].strip()}]
    expected = str(tokenizer.apply_chat_template(turns, tokenize=False)).removesuffix("\n")
    example = data.tokenized_split("test").examples[0]
    assert tokenizer.decode(example.input_ids) == expected
    # the end of a turn that somebody wrote is text: there are as many control tokens as turns
    assert (example.input_ids == tokenizer.convert_tokens_to_ids("<|im_end|>")).sum() == len(turns)


def test_what_was_shown_is_kept_and_can_be_shown_again(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    data = dialogues(tmp_path)
    data.tokenize(tokenizer, task=FEW)
    assert {row["id"] for row in data.demonstrations} < set(data.example_ids("train"))
    save(data.demonstrations, tmp_path)
    kept = json.loads((tmp_path / "demonstrations.json").read_text(encoding="utf-8"))
    again = dialogues(tmp_path, seed=1)
    again.prepare_encoding(tokenizer, task=FEW, demonstrations=kept)
    assert again.demonstrations == data.demonstrations
    rows = again.splits["test"]
    for one, other in zip(again.encode(tokenizer, rows).examples, data.tokenized_split("test").examples, strict=True):
        assert one.input_ids.tolist() == other.input_ids.tolist()
    other = dialogues(tmp_path, seed=1)
    other.tokenize(tokenizer, task=FEW)
    assert other.demonstrations != data.demonstrations


def test_nothing_shown_leaves_no_file(tmp_path: Path) -> None:
    save([], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_whole_dialogues_are_shown(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    data = dialogues(tmp_path)
    short = replace(FEW, shots=5, shot_tokens=45)
    data.tokenize(tokenizer, task=short)
    shown = [row["response"].count("yes") for row in data.demonstrations]
    assert len(shown) == 5
    assert max(shown) < 4
    with refused(DataError, f"0 of {data.rows['train']}", "5 tokens", "method.shots=2", "method.shot_tokens"):
        data.tokenize(tokenizer, task=replace(FEW, shot_tokens=5))


def test_an_encoder_decoder_reads_the_demonstrations(tmp_path: Path) -> None:
    t5, data = AutoTokenizer.from_pretrained(tiny("t5")), dialogues(tmp_path, "plain")
    t5.model_max_length = 1000
    data.tokenize(t5, task=FEW.for_architecture("encoder-decoder"), decoder_start=0)
    example = data.tokenized_split("test").examples[0]
    text = str(t5.decode(example.input_ids))
    assert all(f"{row['prompt']}\n" in text for row in data.demonstrations)
    assert num_loss_tokens(data)[0] == example.labels.tolist()
    assert len(example.labels) <= 120
