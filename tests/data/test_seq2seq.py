"""Sources and targets: what an encoder-decoder reads and writes, and the same as one text for a decoder."""

from pathlib import Path

from transformers import AutoTokenizer

from ftlab.core.errors import DataError
from tests.data.making import build, dataset, jsonl
from tests.data.test_instruction import Tokenizers
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import SEQ2SEQ

ROWS = [{"source": f" The market fell {n} times.", "target": f"市场下跌 {n} 次。 "} for n in range(40)]


def test_an_encoder_decoder_reads_the_source_behind_the_prefix(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("t5"))
    source = {"train": jsonl(tmp_path / "a.jsonl", ROWS)}
    module = build(dataset("seq2seq", source, prefix="translate English to Chinese: "))
    module.tokenize(tokenizer, task=SEQ2SEQ.for_architecture("encoder-decoder"), decoder_start=0)
    batch = module.probe_batch()
    read = str(tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True))
    assert read.startswith("translate English to Chinese: The market fell")
    labels = batch["labels"][0]
    assert str(tokenizer.decode(labels[labels != -100])).startswith("市场下跌")
    assert str(tokenizer.decode(labels[labels != -100])).endswith("次。</s>")


def test_a_decoder_goes_on_from_a_template(tmp_path: Path, tokenizers: Tokenizers) -> None:
    source = {"train": jsonl(tmp_path / "a.jsonl", ROWS)}
    module = build(dataset("seq2seq", source, template="{{ source }}\n=> {{ target }}"))
    module.tokenize(tokenizers["gpt2"])
    batch = module.probe_batch()
    ids, labels = batch["input_ids"][0], batch["labels"][0]
    text = tokenizers["gpt2"].decode(ids[batch["attention_mask"][0] == 1])
    num_loss_tokens = tokenizers["gpt2"].decode(labels[labels != -100])
    assert text.startswith("The market fell")
    assert text.endswith(f"times.\n=> {num_loss_tokens}")
    assert num_loss_tokens.endswith("次。<|endoftext|>")


def test_what_is_shown_of_it() -> None:
    assert [column.metric for column in SEQ2SEQ.with_generation_columns().columns] == [
        "loss",
        "perplexity",
        "rouge_l",
        "bleu",
        "chrf",
    ]
    assert [column.metric for column in SEQ2SEQ.columns] == ["loss", "perplexity"]


def test_a_prefix_is_for_sources(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}", "input": "", "response": "b"} for n in range(20)]
    with refused(DataError, "dataset.prefix", "seq2seq", "instruction"):
        build(dataset("instruction", {"train": jsonl(tmp_path / "a.jsonl", rows)}, prefix="summarize: "))
