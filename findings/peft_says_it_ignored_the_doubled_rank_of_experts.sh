#!/usr/bin/env bash
# Expected: `LoraConfig(r=4, lora_alpha=8, target_modules=["w1", "w2", "w3"])` on a Mixtral model adapts the three projections of each expert
#   with rank 4; and a warning that a `rank_pattern` matched nothing and was ignored means that no rank was changed.
# Seen: Transformers 5 holds w1 and w3 as one tensor, gate_up_proj. PEFT 0.21.2 rewrites the configuration: rank 8 and alpha 16 for that
#   tensor, by patterns that nobody gave. It then warns that these patterns matched no module "and were ignored", and has applied them.
# What it costs: twice the parameters where the warning says that nothing happened; budgets of parameters have to be counted on the model.
# Source: peft/utils/transformers_weight_conversion.py, _convert_peft_config_moe. Seen on 2026-12-01.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
cd "$work"
venv/bin/python - <<'PY' 2>/dev/null
import warnings

from peft import LoraConfig, get_peft_model
from transformers import MixtralConfig, MixtralForCausalLM

sizes = {"hidden_size": 16, "intermediate_size": 8, "vocab_size": 32, "num_hidden_layers": 1}
model = MixtralForCausalLM(MixtralConfig(**sizes, num_attention_heads=2, num_key_value_heads=2, num_local_experts=2))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["w1", "w2", "w3"]))
ignored = sorted({"rank_pattern" if "rank_pattern" in str(w.message) else "alpha_pattern" for w in said if "were ignored" in str(w.message)})
print("said to be ignored:", ", ".join(ignored))
ranks = {layer.parameter_name: (layer.r["default"], layer.lora_alpha["default"]) for layer in model.modules() if type(layer).__name__ == "ParamWrapper"}
for name, (rank, alpha) in sorted(ranks.items()):
    print(f"{name}: rank {rank}, alpha {alpha}")
if ignored != ["alpha_pattern", "rank_pattern"] or ranks != {"gate_up_proj": (8, 16), "down_proj": (4, 8)}:
    raise SystemExit("changed")
print("seen again")
PY
