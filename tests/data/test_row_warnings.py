import copy
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from tests.data.making import budget, build, dataset, jsonl

Tokenizers = dict[str, PreTrainedTokenizerBase]


def _answers(words: int, count: int = 40) -> list[dict[str, str]]:
    return [{"prompt": f"number {n}", "input": "", "response": " ".join(["ready"] * words)} for n in range(count)]


def test_cut_responses_are_a_warning_with_counts_and_remedy(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [*_answers(3, 20), *_answers(90, 20)]
    data = build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", rows)}, max_length=64))
    data.tokenize(tokenizers["gpt2"])
    assert data.truncated_share is not None
    assert 0.2 < data.truncated_share < 0.8
    (warning,) = [text for text in data.warnings if "cut" in text]
    assert warning == (
        f"{data.truncated_share:.0%} of the {data.rows_within_limits['train']} training rows are longer than 64 tokens "
        "and cut: raise dataset.max_length, and budget.max_length if it is set."
    )


def test_left_out_rows_are_counted_in_it(tmp_path: Path, tokenizers: Tokenizers) -> None:
    long_prompts = [{"prompt": " ".join([f"number {n}"] * 90), "input": "", "response": "yes"} for n in range(20)]
    source = {"train": jsonl(tmp_path / "a.jsonl", [*_answers(3), *long_prompts])}
    data = build(dataset("instruction", source, max_length=48), budget=budget(train_rows=30))
    data.tokenize(tokenizers["gpt2"])
    left_out = data.rows_within_limits["train"] - data.rows["train"]
    assert left_out > 0
    assert data.all_rows["train"] > data.rows_within_limits["train"] == 30
    assert any(f"{left_out} of them left out" in text for text in data.warnings)


def test_cut_texts_without_responses_are_none(tmp_path: Path, tokenizers: Tokenizers) -> None:
    rows = [{"text": f"number {n} " * 60, "label": str(n % 2)} for n in range(40)]
    data = build(dataset("classification", {"train": jsonl(tmp_path / "a.jsonl", rows)}, max_length=16))
    data.tokenize(tokenizers["bert"])
    assert data.truncated_share == 1
    assert not any("cut" in text for text in data.warnings)


def test_examples_with_responses_are_no_longer_than_what_the_model_reads(
    tmp_path: Path, tokenizers: Tokenizers
) -> None:
    tokenizer = copy.deepcopy(tokenizers["gpt2"])
    tokenizer.model_max_length = 24
    data = build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", _answers(30))}, max_length=512))
    data.tokenize(tokenizer, model="short")
    assert data.max_length == max(data.token_counts("train")[0]) == 24
    assert "short reads at most 24 tokens, so examples are cut to that, not to 512." in data.warnings
