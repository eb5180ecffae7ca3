"""Quantised base weights through bitsandbytes, and what the base weighs in memory."""

import importlib.util
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from ftlab.errors import UserError
from ftlab.groups import QuantConfig


def quantization_config(quant: QuantConfig, skip: list[str], dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """Return what Transformers needs to quantise linear layers on load; None where `quant` is none.

    Args:
        quant: nf4, the 4-bit NormalFloat of QLoRA (Dettmers et al., 2023), or int8, LLM.int8() (same, 2022).
        skip: module names kept in full precision: the task head, which is trained or must stay exact.
        dtype: type of the computation and of all that is not quantised.

    Raises:
        UserError: bitsandbytes or accelerate is not installed.
    """
    if quant.name == "none":
        return None
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"quant={quant.name} needs {package}: pip install {package}, or use quant=none.")
    if quant.name == "int8":
        # It would warn in every layer and step that inputs are cast to float16, which is what LLM.int8() does.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skip)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=quant.double_quant,
        llm_int8_skip_modules=skip,
    )


def keep_differentiable(model: nn.Module) -> None:
    """Keep nf4 layers trainable after they ran in evaluation mode on a CPU; to be called once after loading.

    On CPUs with AVX512-BF16, the first forward pass in evaluation mode (a validation) would repack the weights for a
    kernel without gradients, for good: from then on no gradient passes through these layers, and results change.
    """
    from bitsandbytes.nn import Linear4bit  # takes a second to import: only where something is quantised

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def keep_together(model: nn.Module) -> None:
    """Have the scales of int8 layers follow the weights to another device; to be called once after loading.

    `nn.Module.to` moves the data of a parameter alone. What bitsandbytes keeps beside it, the same weights once more
    and their scales, would stay where the model was loaded. (nf4 layers move theirs themselves.)
    """
    from bitsandbytes.nn import Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.register_forward_pre_hook(_follow)


def _follow(layer: Any, _: Any) -> None:
    weight = layer.weight
    keeper = weight if weight.CB is not None else layer.state  # the layer takes them over in its first forward pass
    if keeper.CB is not None and keeper.CB.data_ptr() != weight.data_ptr():
        keeper.CB, keeper.SCB = weight.data, keeper.SCB.to(weight.device)


def base_weight_bytes(model: nn.Module) -> int:
    """Return the bytes that parameters and buffers hold in memory, shared tensors once, quantised ones as stored."""
    held = {_storage(tensor): tensor.untyped_storage().nbytes() for tensor in _tensors(model)}
    return sum(held.values())


def _storage(tensor: torch.Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    for parameter in model.parameters():
        yield parameter.data
        yield from _quantisation_constants(parameter)
    yield from model.buffers()


def _quantisation_constants(parameter: nn.Parameter) -> Iterable[torch.Tensor]:
    """Scales and code books that bitsandbytes keeps beside the packed weight."""
    state = getattr(parameter, "quant_state", None)  # nf4
    if state is not None:
        return [value for value in state.as_dict().values() if isinstance(value, torch.Tensor)]
    scales = getattr(parameter, "SCB", None)  # int8
    return [] if scales is None else [scales]
