"""Instructions for encoder-decoders: the encoder reads the prompt, the decoder writes the response."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ftlab.core.batch import IGNORE_INDEX
from ftlab.data.encoding.example import Example
from ftlab.data.loading.collate import Collate
from tests.data.making import build, dataset, jsonl
from tests.fixtures.checkpoints import tiny
from tests.fixtures.tasks import CLASSIFICATION, INSTRUCTION, TEXT

START = 0  # T5's decoder begins with its padding token


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny("t5"))


def _batch(tokenizer: PreTrainedTokenizerBase, tmp_path: Path, **settings: Any) -> dict[str, torch.Tensor]:
    rows = [
        {"prompt": f"Question {n}?", "input": "", "response": "Yes." if n % 2 else "No, it is not."} for n in range(20)
    ]
    data = build(dataset("instruction", {"train": jsonl(tmp_path / "rows.jsonl", rows)}, template="plain", **settings))
    data.tokenize(tokenizer, task=INSTRUCTION.for_architecture("encoder-decoder"), decoder_start=START)
    return next(iter(data.test_dataloader()))


def test_the_prompt_is_read_and_the_response_written(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    batch = _batch(tokenizer, tmp_path)
    examples = list(zip(batch["input_ids"], batch["labels"], batch["decoder_input_ids"], strict=True))
    assert examples
    for read, labels, seen in examples:
        assert tokenizer.decode(read).replace("<pad>", "").endswith("?\n</s>")
        written = labels[labels != IGNORE_INDEX]
        assert tokenizer.decode(written) in ("Yes.</s>", "No, it is not.</s>")
        assert seen.tolist()[: len(written)] == [START, *written.tolist()[:-1]]
        assert (seen >= 0).all()


def test_both_sides_are_cut_to_the_length_and_the_text_read_keeps_its_end(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    batch = _batch(tokenizer, tmp_path, max_length=4)
    assert batch["input_ids"].shape[1] == batch["labels"].shape[1] == 4
    assert (batch["input_ids"][:, -1] == tokenizer.eos_token_id).all()


def test_on_either_side_the_text_read_is_cut_and_its_end_stays(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    whole, right, left = (
        _batch(tokenizer, tmp_path, **settings)["input_ids"][0].tolist()
        for settings in ({}, {"max_length": 4}, {"max_length": 4, "truncation": "left"})
    )
    end = tokenizer.eos_token_id
    text = whole[: whole.index(end)]
    assert right == [*text[:3], end]
    assert left == [*text[-3:], end]


def test_a_class_is_written_as_the_first_token() -> None:
    example = Example(np.array([5, 6], np.int32), 2)
    batch = Collate(0, "right", decoder_start=START)([(0, example), (1, example)])
    assert batch["decoder_input_ids"].tolist() == [[START], [START]]
    assert batch["labels"].tolist() == [2, 2]


def test_only_instructions_change_with_the_architecture() -> None:
    assert INSTRUCTION.for_architecture("encoder-decoder").head.auto_class == "AutoModelForSeq2SeqLM"
    assert INSTRUCTION.for_architecture("decoder") == INSTRUCTION
    assert CLASSIFICATION.for_architecture("encoder-decoder") == CLASSIFICATION
    assert TEXT.for_architecture("encoder-decoder") == TEXT
