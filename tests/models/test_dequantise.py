"""Values of quantised layers, back in full precision."""

import pytest
import torch

from ftlab import models
from ftlab.config.groups import QuantConfig
from ftlab.models.dequantise import copy_dequantised
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.tasks import INSTRUCTION


@pytest.mark.parametrize("quant", ["nf4", "int8"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_layers_compute_what_the_quantised_ones_did(kind: str, quant: str) -> None:
    config = composed("model=hf", f"model.name={tiny(kind)}").model
    quantised = models.load_base_model(config, INSTRUCTION, QuantConfig(name=quant)).model.eval()
    plain = models.load_base_model(config, INSTRUCTION, QuantConfig(name="none")).model.eval()
    before = {name: value.clone() for name, value in plain.named_parameters()}
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        expected = quantised(ids).logits
        far = (plain(ids).logits - expected).abs().max()
        copy_dequantised(quantised, plain)
        near = (plain(ids).logits - expected).abs().max()
    assert near < (1e-5 if quant == "nf4" else 2e-2)  # int8 rounds activations too
    if quant == "nf4":
        assert near < far / 100
    changed = {name for name, value in plain.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(value.ndim == 2 and "embed" not in name for name, value in plain.named_parameters() if name in changed)
