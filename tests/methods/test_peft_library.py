"""Behaviour of PEFT and bitsandbytes that their names do not tell and that results depend on: a change is noticed."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import ParamWrapper
from peft.utils.hotswap import hotswap_adapter
from torch import nn
from transformers import AutoModelForCausalLM, MixtralConfig, PreTrainedModel

from ftlab.models.quantise import keep_differentiable
from tests.fixtures.checkpoints import tiny


def _scalings(model: nn.Module) -> dict[str, float]:
    return {
        name: module.scaling["default"] for name, module in model.named_modules() if hasattr(module, "lora_embedding_A")
    }


def _llama() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(tiny("llama"))


def test_a_linear_combination_of_adapters_is_none_of_their_updates() -> None:
    """PEFT 0.21 adds up A and B apart; ftlab combines no adapters, and this would tell when it may."""
    model = get_peft_model(nn.Sequential(nn.Linear(4, 4)), LoraConfig(r=2, target_modules=["0"]), "first")
    model.add_adapter("second", LoraConfig(r=2, target_modules=["0"]))
    layer = model.base_model.model[0]
    with torch.no_grad():
        for name in ("first", "second"):
            layer.lora_B[name].weight.copy_(torch.randn(4, 2))
    model.add_weighted_adapter(["first", "second"], [1.0, 1.0], "both", combination_type="linear")
    updates = [layer.get_delta_weight(name) for name in ("first", "second", "both")]
    assert not torch.allclose(updates[0] + updates[1], updates[2], atol=1e-3)


def test_a_hot_swapped_adapter_is_saved_with_the_scaling_of_the_one_before(tmp_path: Path) -> None:
    """So ftlab swaps none: the predictor loads each run's adapter by itself."""
    for alpha in (2, 16):
        config = LoraConfig(r=2, lora_alpha=alpha, target_modules=["q_proj"], init_lora_weights=False)
        get_peft_model(_llama(), config).save_pretrained(tmp_path / str(alpha))
    model = PeftModel.from_pretrained(_llama(), tmp_path / "2")
    hotswap_adapter(model, str(tmp_path / "16"), "default")
    assert set(_scalings(model).values()) == {8.0}
    model.save_pretrained(tmp_path / "saved")
    assert PeftConfig.from_pretrained(tmp_path / "saved").lora_alpha == 2


def test_fused_experts_double_rank_and_alpha() -> None:
    """Their gate and up projections are one tensor. ftlab's `method.target` refuses the old names of the two."""
    sizes = {"hidden_size": 16, "intermediate_size": 8, "vocab_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2}
    base = AutoModelForCausalLM.from_config(MixtralConfig(**sizes, **heads))
    ignored = [pytest.warns(RuntimeWarning, match=rf"{name}.* were ignored") for name in ("rank_", "alpha_")]
    with ignored[0], ignored[1]:  # they were not, see below
        model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["w1", "w2", "w3"]))
    ranks = {
        (module.parameter_name, module.r["default"], module.lora_alpha["default"])
        for module in model.modules()
        if isinstance(module, ParamWrapper)
    }
    assert ranks == {("gate_up_proj", 8, 16), ("down_proj", 4, 8)}


@pytest.mark.skipif("avx512_bf16" not in Path("/proc/cpuinfo").read_text(), reason="this CPU has no AVX512-BF16")
def test_nf4_layers_keep_their_weights_in_evaluation() -> None:
    from bitsandbytes.nn import Linear4bit

    torch.manual_seed(0)
    inputs = torch.randn(4, 64)

    def weights_change(*, kept: bool) -> bool:
        layer = Linear4bit(64, 64, bias=False, quant_type="nf4")
        layer.weight.data = torch.randn(64, 64)
        model = nn.Sequential(layer.to("cpu"))
        if kept:
            keep_differentiable(model)
        before = layer.weight.data.clone()
        model.eval()
        with torch.no_grad():
            model(inputs)
        return not torch.equal(before, layer.weight.data)

    assert not weights_change(kept=True)
    assert weights_change(kept=False), "bitsandbytes no longer repacks them: keep_differentiable may go"
