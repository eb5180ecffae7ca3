"""Quantised base weights, put back into a model in full precision."""

import torch
from peft.utils.integrations import dequantize_module_weight
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D


@torch.no_grad()
def copy_dequantised(quantised: PreTrainedModel, plain: PreTrainedModel) -> None:
    """Give a model the very values that a quantised one computes with.

    Transformers' own `dequantize` makes linear layers of GPT-2's Conv1D: from what it saves, its square matrices would
    load transposed without a word.

    Args:
        quantised: as loaded by bitsandbytes.
        plain: the same model as loaded without; changed in place.
    """
    for name, module in quantised.named_modules():
        if type(getattr(module, "weight", None)).__name__ in ("Params4bit", "Int8Params"):
            target = plain.get_submodule(name)
            values = dequantize_module_weight(module)
            weight = target.weight
            assert isinstance(weight, torch.nn.Parameter)
            weight.copy_(values.T if isinstance(target, Conv1D) else values)
