import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    DistilBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    RobertaConfig,
    T5Config,
)
from transformers import AutoModelForCausalLM as Causal
from transformers import AutoModelForSeq2SeqLM as Seq2Seq
from transformers import AutoModelForSequenceClassification as Classifier

from ftlab.core.errors import UserError
from ftlab.models.structure import attention_projections, blocks, head_modules, head_names, position_count
from tests.fixtures.checkpoints import tiny
from tests.fixtures.refusals import refused

T5_HEAD = [f"classification_head.{layer}.{kind}" for layer in ("dense", "out_proj") for kind in ("weight", "bias")]


def on_meta(auto: type, config: PreTrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return auto.from_config(config)


@pytest.mark.parametrize(
    ("kind", "auto", "head", "layers"),
    [
        ("bert", Classifier, ["classifier.weight", "classifier.bias"], ["bert.encoder.layer"]),
        ("gpt2", Classifier, ["score.weight"], ["transformer.h"]),
        ("gpt2", Causal, ["transformer.wte.weight"], ["transformer.h"]),
        ("llama", Classifier, ["score.weight"], ["model.layers"]),
        ("llama", Causal, ["model.embed_tokens.weight"], ["model.layers"]),
        ("t5", Classifier, T5_HEAD, ["transformer.encoder.block", "transformer.decoder.block"]),
        ("t5", Seq2Seq, ["shared.weight"], ["encoder.block", "decoder.block"]),
    ],
)
def test_head_and_blocks(kind: str, auto: type, head: list[str], layers: list[str]) -> None:
    model = on_meta(auto, AutoConfig.from_pretrained(tiny(kind)))
    assert head_names(model) == head
    assert blocks(model) == [f"{layer}.{index}" for layer in layers for index in range(2)]
    assert set(head) <= {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize(
    ("auto", "config", "head", "layers"),
    [
        (Classifier, RobertaConfig(num_hidden_layers=3), "classifier", "roberta.encoder.layer"),
        (Classifier, DistilBertConfig(n_layers=3), "classifier", "distilbert.transformer.layer"),
        (Causal, Qwen2Config(num_hidden_layers=3, layer_types=None), "lm_head", "model.layers"),
    ],
)
def test_other_families(auto: type, config: PreTrainedConfig, head: str, layers: str) -> None:
    model = on_meta(auto, config)
    assert head in head_modules(model)
    assert blocks(model) == [f"{layers}.{index}" for index in range(3)]


def test_untied_output_is_its_own_head() -> None:
    model = on_meta(Seq2Seq, T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=20))
    model.lm_head.weight = nn.Parameter(torch.empty(20, 8, device="meta"))
    assert head_names(model) == ["lm_head.weight"]


def test_model_without_blocks_is_refused() -> None:
    with refused(UserError, "Linear"):
        blocks(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("kind", "auto", "first", "each", "count"),
    [
        ("bert", Classifier, "bert.encoder.layer.0.attention.self.query", {"query", "key", "value", "dense"}, 8),
        ("gpt2", Causal, "transformer.h.0.attn.c_attn", {"c_attn", "c_proj"}, 4),
        ("llama", Classifier, "model.layers.0.self_attn.q_proj", {"q_proj", "k_proj", "v_proj", "o_proj"}, 8),
        ("t5", Seq2Seq, "encoder.block.0.layer.0.SelfAttention.q", {"q", "k", "v", "o"}, 24),  # cross attention too
        ("t5", Classifier, "transformer.encoder.block.0.layer.0.SelfAttention.q", {"q", "k", "v", "o"}, 24),
    ],
)
def test_attention_projections(kind: str, auto: type, first: str, each: set[str], count: int) -> None:
    found = attention_projections(on_meta(auto, AutoConfig.from_pretrained(tiny(kind))))
    assert found[0] == first
    assert {name.rpartition(".")[2] for name in found} == each
    assert len(found) == count
    assert not [name for name in found if "mlp" in name or "intermediate" in name or "DenseReluDense" in name]


def test_a_model_without_attention_has_no_projections() -> None:
    assert attention_projections(nn.Sequential(nn.Linear(2, 2))) == []


def test_positions_that_a_model_can_see() -> None:
    """RoBERTa's first two are of padding; T5 has relative ones."""
    roberta = RobertaConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=34)
    assert position_count(on_meta(Classifier, roberta)) == 32
    assert position_count(on_meta(Causal, Qwen2Config(num_hidden_layers=1, max_position_embeddings=40))) == 40
    assert position_count(on_meta(Seq2Seq, T5Config(num_layers=1))) is None
    assert position_count(Classifier.from_pretrained(tiny("bert"))) == 256
