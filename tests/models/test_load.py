import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ftlab.config.groups import ModelConfig, QuantConfig
from ftlab.config.task import Task
from ftlab.core.errors import ConfigError, UserError
from ftlab.models import Base, load_base_model
from ftlab.models.quiet import quiet
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import CLASSIFICATION, INSTRUCTION, TEXT
from tests.tiny import KINDS, save_tiny

LABELS = replace(CLASSIFICATION, labels=("sport", "politics", "tech"))
SEQ2SEQ = replace(TEXT, head=replace(TEXT.head, auto_class="AutoModelForSeq2SeqLM", peft_type="SEQ_2_SEQ_LM"))
FAMILIES = [*((kind, LABELS) for kind in KINDS), ("gpt2", TEXT), ("llama", TEXT), ("t5", SEQ2SEQ)]
IDS = [f"{kind}-{task.head.auto_class}" for kind, task in FAMILIES]


def base_of(folder: Path, task: Task, **settings: Any) -> Base:
    return load_base_model(ModelConfig(name=str(folder), **settings), task, QuantConfig(name="none"))


def logits(base: Base) -> torch.Tensor:
    batch = base.tokenizer(["The bank raised its rate.", "The team won."], padding=True, return_tensors="pt")
    if base.model.config.is_encoder_decoder and not base.model.config.id2label.get(2):
        batch["decoder_input_ids"] = batch["input_ids"]
    with torch.no_grad():
        return base.model.eval()(**batch).logits


@pytest.mark.parametrize(("kind", "task"), FAMILIES, ids=IDS)
def test_saved_and_loaded_again_gives_the_same_logits(kind: str, task: Task, tmp_path: Path) -> None:
    first = base_of(tiny(kind), task)
    with torch.no_grad():
        for parameter in first.model.parameters():  # as after training
            parameter.add_(torch.randn_like(parameter) * 0.1)
    with quiet():
        first.model.save_pretrained(tmp_path / "again")
    first.tokenizer.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(first), logits(base_of(tmp_path / "again", task)))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux alone says what memory is mapped from files")
def test_the_weights_of_jobs_side_by_side_are_one_memory_map() -> None:
    """Of the file, private: a job that trains a weight gets pages of its own, and the others' stay shared."""
    folder = tiny("llama")
    model = base_of(folder, INSTRUCTION).model
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [
        line[0].split("-") for line in lines if line[1:2] == ["rw-p"] and line[-1] == f"{folder}/model.safetensors"
    ]
    spans = [(int(start, 16), int(end, 16)) for start, end in ranges]
    assert all(any(start <= weight.data_ptr() < end for start, end in spans) for weight in model.parameters())


def test_untied_t5_keeps_its_output_layer(tmp_path: Path) -> None:
    # Flan-T5 and T5 1.1 have an lm_head of their own, though Transformers says of every T5 that it is tied.
    first = base_of(tiny("t5"), SEQ2SEQ)
    first.model.lm_head.weight = nn.Parameter(torch.randn_like(first.model.lm_head.weight))
    with quiet():
        first.model.save_pretrained(tmp_path / "again")
    first.tokenizer.save_pretrained(tmp_path / "again")
    again = base_of(tmp_path / "again", SEQ2SEQ)
    assert torch.equal(logits(first), logits(again))
    assert again.model.lm_head.weight is not again.model.shared.weight


@pytest.mark.parametrize(("kind", "task"), FAMILIES, ids=IDS)
def test_loads_quietly_with_labels_and_padding(kind: str, task: Task, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tiny(kind)
    capfd.readouterr()
    base = base_of(folder, replace(task, padding_side="left"))
    assert capfd.readouterr() == ("", "")
    config, tokenizer = base.model.config, base.tokenizer
    assert tokenizer.padding_side == "left"
    assert tokenizer.pad_token_id is not None
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.use_cache is False
    assert all(module.training for module in base.model.modules())
    assert not any(parameter.isnan().any() for parameter in base.model.parameters())
    if task.labels:
        assert config.id2label == {0: "sport", 1: "politics", 2: "tech"}
        assert config.label2id == {"sport": 0, "politics": 1, "tech": 2}
        assert logits(base).shape == (2, 3)
    if kind in ("gpt2", "llama"):
        assert "<|im_start|>" in tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)


def test_new_head_follows_the_seed() -> None:
    folder = tiny("bert")
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        heads.append(base_of(folder, LABELS).model.classifier.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_head_for_other_labels_is_replaced(tmp_path: Path) -> None:
    first = base_of(tiny("bert"), replace(CLASSIFICATION, labels=("x", "y")))
    with quiet():
        first.model.save_pretrained(tmp_path / "two")
    first.tokenizer.save_pretrained(tmp_path / "two")
    assert base_of(tmp_path / "two", LABELS).model.classifier.weight.shape == (3, 32)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_replaces_every_rate(kind: str) -> None:
    model = base_of(tiny(kind), LABELS, dropout=0.37).model
    rates = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    rates += [module.attention_dropout for module in model.modules() if hasattr(module, "attention_dropout")]
    assert {rate if isinstance(rate, float) else rate.p for rate in rates} == {0.37}


def test_dropout_that_has_no_effect_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny("llama")
    monkeypatch.setattr("transformers.LlamaConfig.to_dict", lambda self: {"hidden_size": 32})
    with refused(ConfigError, "model.dropout=0.1", "llama", "null"):
        base_of(folder, LABELS, dropout=0.1)


def test_dtype_attention_and_checkpointing_are_applied() -> None:
    folder = tiny("llama")
    model = base_of(folder, TEXT, dtype="bfloat16", attention="eager", gradient_checkpointing=True).model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.config._attn_implementation == "eager"
    assert model.is_activation_checkpointing
    with refused(UserError, f"model={folder}", "FlashAttention2"):
        base_of(folder, TEXT, attention="flash_attention_2")


def test_encoder_for_text_says_what_fits() -> None:
    folder = tiny("bert")
    with refused(UserError, f"model={folder}", "encoder (bert)", "instruction", "AutoModelForCausalLM", "smollm2-135m"):
        base_of(folder, INSTRUCTION)


def test_encoder_decoder_for_causal_text_says_what_fits() -> None:
    with refused(UserError, "encoder-decoder (t5)", "AutoModelForCausalLM", "smollm2-135m"):
        base_of(tiny("t5"), TEXT)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    tensors = load_file(folder / "model.safetensors")
    lost = "encoder.layer.1.output.dense.weight"
    save_file({name: t for name, t in tensors.items() if name != lost}, folder / "model.safetensors", {"format": "pt"})
    with refused(UserError, f"model={folder}", "config.json", "1", "BertForSequenceClassification", f"bert.{lost}"):
        base_of(folder, LABELS)


def test_a_file_that_does_not_say_where_the_weights_come_from_is_only_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    (folder / "ftlab.json").write_text("[]")
    with caplog.at_level(logging.WARNING):
        assert base_of(folder, LABELS).provenance is None
    assert f"model={folder}" in caplog.text
    assert "ftlab.json" in caplog.text


def test_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 10}))
    with refused(UserError, f"model={folder}", "640", "10"):
        base_of(folder, LABELS)


@pytest.mark.parametrize(
    ("file", "content", "part"),
    [
        ("config.json", "{broken", "config.json"),
        ("config.json", '{"model_type": "no_such_type"}', "no_such_type"),
        ("tokenizer.json", "{broken", "tokenizer"),
    ],
)
def test_broken_files_are_named(file: str, content: str, part: str, tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    (folder / file).write_text(content)
    with refused(UserError, f"model={folder}", part):
        base_of(folder, LABELS)


def test_broken_weights_are_named(tmp_path: Path) -> None:
    folder = save_tiny("bert", tmp_path / "tiny")
    (folder / "model.safetensors").write_bytes(b"not tensors")
    with refused(UserError, f"model={folder}"):
        base_of(folder, LABELS)
