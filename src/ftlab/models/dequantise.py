"""Dequantisation of base weights into a full-precision model."""

import torch
from peft.utils.integrations import dequantize_module_weight
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D


@torch.no_grad()
def copy_dequantised(quantised: PreTrainedModel, plain: PreTrainedModel) -> None:
    """Copy the values that a quantised model computes with into a full-precision one.

    Transformers' own `dequantize` turns GPT-2's Conv1D into linear layers; the square matrices of a model saved like
    that would silently load transposed.

    Args:
        quantised: the model as loaded with bitsandbytes.
        plain: the same model loaded without quantisation; changed in place.
    """
    for name, module in quantised.named_modules():
        if type(getattr(module, "weight", None)).__name__ in ("Params4bit", "Int8Params"):
            target = plain.get_submodule(name)
            values = dequantize_module_weight(module)
            weight = target.weight
            assert isinstance(weight, torch.nn.Parameter)
            weight.copy_(values.T if isinstance(target, Conv1D) else values)
