#!/usr/bin/env bash
# Expected: `QuantState.as_dict()` of a 4-bit weight returns the tensors that the layer holds, so that the bytes of a model are those of the
#   distinct storages below its parameters and these dicts.
# Seen: with nested (double) quantisation, bitsandbytes 0.50.2 returns a fresh copy of the nested code book on each call, and the offset,
#   a tensor in the layer, as a Python float. A count of storages over the layers of a model gave another sum from run to run: the copies
#   of earlier layers are freed by then, and their addresses used again.
# What it costs: a reported size of the base that differs by kilobytes between runs of one command; take absmax, code, offset and state2's
#   tensors from the state instead.
# Source: bitsandbytes/functional.py, QuantState.as_dict. Seen on 2026-11-30.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check torch==2.13.0 bitsandbytes==0.50.2
cd "$work"
venv/bin/python - <<'PY' 2>/dev/null
import torch
from bitsandbytes.nn import Linear4bit

layer = Linear4bit(256, 256, bias=False, compress_statistics=True, quant_type="nf4")
layer.weight.data = torch.randn(256, 256)
state = layer.to("cpu").weight.quant_state
held = {"absmax": state.absmax, "quant_map": state.code, "nested_absmax": state.state2.absmax, "nested_quant_map": state.state2.code}
told = state.as_dict()
same = {name: told[name].data_ptr() == tensor.data_ptr() for name, tensor in held.items()}
for name, is_same in same.items():
    print(f"{name}: {'the tensor of the layer' if is_same else 'a copy'}")
print(f"offset: {type(state.offset).__name__} in the layer, {type(told['nested_offset']).__name__} in the dict")
if same != {"absmax": True, "quant_map": True, "nested_absmax": True, "nested_quant_map": False}:
    raise SystemExit("changed")
if not isinstance(state.offset, torch.Tensor) or not isinstance(told["nested_offset"], float):
    raise SystemExit("changed")
print("seen again")
PY
