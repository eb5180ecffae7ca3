#!/usr/bin/env bash
# Expected: after `hotswap_adapter` the model computes with the new adapter, and `save_pretrained` writes that adapter: loaded again, it
#   gives the same logits.
# Seen: PEFT 0.21.2 swaps weights and scaling in the layers and leaves the configuration of the adapter before. The folder that is saved
#   has the new weights with the old alpha: loaded again, the update is smaller or larger by the ratio of the two scalings.
# What it costs: a service that swaps adapters and saves a snapshot of the current one saves another model, without a warning. Copy the
#   adapter's own folder instead, or set `peft_config[name]` to the new configuration.
# Source: peft/utils/hotswap.py, hotswap_adapter and hotswap_adapter_from_state_dict. Seen on 2026-12-01.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
cd "$work"
venv/bin/python - <<'PY' 2>/dev/null
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from peft.utils.hotswap import hotswap_adapter
from transformers import LlamaConfig, LlamaForCausalLM


def base() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}
    return LlamaForCausalLM(LlamaConfig(**sizes)).eval()


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(8)[None]).logits


for alpha in (2, 16):
    get_peft_model(base(), LoraConfig(r=2, lora_alpha=alpha, target_modules=["q_proj"], init_lora_weights=False)).save_pretrained(f"alpha{alpha}")
model = PeftModel.from_pretrained(base(), "alpha2")
hotswap_adapter(model, "alpha16", "default")
swapped = logits(model)
agrees = torch.allclose(swapped, logits(PeftModel.from_pretrained(base(), "alpha16")))
print("swapped model equals the second adapter:", agrees)
model.save_pretrained("saved")
alpha = PeftConfig.from_pretrained("saved").lora_alpha
same = torch.allclose(swapped, logits(PeftModel.from_pretrained(base(), "saved")))
print(f"saved with lora_alpha={alpha}; loaded again it equals the swapped model: {same}")
if (agrees, alpha, same) != (True, 2, False):
    raise SystemExit("changed")
print("seen again")
PY
