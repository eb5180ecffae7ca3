import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    BartConfig,
    DistilBertConfig,
    MambaConfig,
    MixtralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2MoeConfig,
)
from transformers import AutoModelForCausalLM as Causal
from transformers import AutoModelForSeq2SeqLM as Seq2Seq
from transformers import AutoModelForSequenceClassification as Classifier

from ftlab.core.errors import UserError
from ftlab.models.adapter_slots import attach
from ftlab.models.sublayers import sublayers, unwrapped, width
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused

SMALL = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "vocab_size": 30, "num_attention_heads": 2}


def on_meta(auto: type, config: PreTrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return auto.from_config(config)


@pytest.mark.parametrize(
    ("kind", "auto", "attention", "feed_forward"),
    [
        ("bert", Classifier, ["bert.encoder.layer.{}.attention.output.dense"], ["bert.encoder.layer.{}.output.dense"]),
        ("gpt2", Causal, ["transformer.h.{}.attn.c_proj"], ["transformer.h.{}.mlp.c_proj"]),
        ("llama", Causal, ["model.layers.{}.self_attn.o_proj"], ["model.layers.{}.mlp.down_proj"]),
        (
            "t5",
            Seq2Seq,
            [
                "encoder.block.{}.layer.0.SelfAttention.o",
                "decoder.block.{}.layer.0.SelfAttention.o",
                "decoder.block.{}.layer.1.EncDecAttention.o",
            ],
            ["encoder.block.{}.layer.1.DenseReluDense.wo", "decoder.block.{}.layer.2.DenseReluDense.wo"],
        ),
    ],
)
def test_outputs_of_every_block(kind: str, auto: type, attention: list[str], feed_forward: list[str]) -> None:
    model = on_meta(auto, AutoConfig.from_pretrained(tiny(kind)))
    found = sublayers(model)
    assert sorted(found.attention) == sorted(name.format(index) for name in attention for index in range(2))
    assert sorted(found.feed_forward) == sorted(name.format(index) for name in feed_forward for index in range(2))
    assert {width(model.get_submodule(name)) for name in [*found.attention, *found.feed_forward]} == {32}


@pytest.mark.parametrize(
    ("auto", "config", "attention", "feed_forward"),
    [
        (Classifier, DistilBertConfig(n_layers=2), "attention.out_lin", "ffn.lin2"),
        (Seq2Seq, BartConfig(encoder_layers=2, decoder_layers=2), "encoder_attn.out_proj", "fc2"),
    ],
)
def test_other_families(auto: type, config: PreTrainedConfig, attention: str, feed_forward: str) -> None:
    found = sublayers(on_meta(auto, config))
    assert any(name.endswith(f".{attention}") for name in found.attention)
    assert all(name.endswith(f".{feed_forward}") for name in found.feed_forward)
    assert len(found.feed_forward) in (2, 4)


def test_a_gate_is_no_output() -> None:
    config = Qwen2MoeConfig(**SMALL, num_key_value_heads=2, num_experts=2, layer_types=None)
    found = sublayers(on_meta(Causal, config))
    assert [name.rsplit(".", 2)[1:] for name in found.feed_forward] == [["shared_expert", "down_proj"]] * 2


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (MambaConfig(num_hidden_layers=2, hidden_size=16, vocab_size=30), "attention"),
        (MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=2), "feed-forward"),
    ],
)
def test_a_model_without_sublayers_is_refused(config: PreTrainedConfig, missing: str) -> None:
    model = on_meta(Causal, config)
    with refused(UserError, type(model).__name__, missing, "layers.0", "method=partial"):
        sublayers(model)


def test_wrapped_layers_are_found_again() -> None:
    model = on_meta(Causal, AutoConfig.from_pretrained(tiny("gpt2")))
    before = sublayers(model)
    for name in [*before.attention, *before.feed_forward]:
        attach(model, name, "default", nn.Linear(32, 7), replaces=False)
    assert sublayers(model) == before
    assert width(model.get_submodule(before.attention[0])) == 32
    assert unwrapped(model.get_submodule(before.attention[0])) is not model.get_submodule(before.attention[0])
