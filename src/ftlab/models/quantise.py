"""Quantisation of base weights with bitsandbytes, and the memory that base weights take."""

import importlib.util
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from ftlab.config.groups import QuantConfig
from ftlab.core.errors import UserError


def quantization_config(quant: QuantConfig, skip: list[str], dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """Return the configuration with which Transformers quantises linear layers on load; None if `quant` is none.

    Args:
        quant: nf4, the 4-bit NormalFloat of QLoRA (Dettmers et al., 2023), or int8, LLM.int8() (same, 2022).
        skip: module names that stay in full precision: the task head, which is trained or must stay exact.
        dtype: dtype of the computation and of everything that is not quantised.

    Raises:
        UserError: bitsandbytes or accelerate is not installed.
    """
    if quant.name == "none":
        return None
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"quant={quant.name} needs {package}: pip install {package}, or use quant=none.")
    if quant.name == "int8":
        # It would warn in every layer and step that inputs are cast to float16; LLM.int8() does that by design.
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
    """Keep nf4 layers differentiable after they ran in evaluation mode on a CPU; call it once after loading.

    On CPUs with AVX512-BF16, the first forward pass in evaluation mode (a validation) would permanently repack the
    weights for a kernel without gradients: no gradient passes through these layers afterwards, and results change.
    """
    from bitsandbytes.nn import Linear4bit  # takes a second to import, so only if something is quantised

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def keep_scales_with_weights(model: nn.Module) -> None:
    """Move the scales of int8 layers along with the weights to another device; call it once after loading.

    `nn.Module.to` moves only the data of a parameter. The attributes that bitsandbytes keeps beside it (the weights
    again, and their scales) would stay on the device where the model was loaded. nf4 layers move theirs themselves.
    """
    from bitsandbytes.nn import Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.register_forward_pre_hook(_move_scales)


def _move_scales(layer: Any, _: Any) -> None:
    weight = layer.weight
    owner = weight if weight.CB is not None else layer.state  # the first forward pass moves them to the layer's state
    if owner.CB is not None and owner.CB.data_ptr() != weight.data_ptr():
        owner.CB, owner.SCB = weight.data, owner.SCB.to(weight.device)


def base_weight_bytes(model: nn.Module) -> int:
    """Return the bytes of parameters and buffers in memory; shared tensors count once, quantised ones as stored."""
    sizes = {_storage(tensor): tensor.untyped_storage().nbytes() for tensor in _tensors(model)}
    return sum(sizes.values())


def _storage(tensor: torch.Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()


def _tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    for parameter in model.parameters():
        yield parameter.data
        yield from _quantisation_constants(parameter)
    yield from model.buffers()


def _quantisation_constants(parameter: nn.Parameter) -> Iterable[torch.Tensor]:
    """Return the scales and code books that bitsandbytes keeps beside the packed weight."""
    state = getattr(parameter, "quant_state", None)  # nf4; not its `as_dict`, which returns copies
    if state is not None:
        nested = [state.offset, state.state2.absmax, state.state2.code] if state.nested else []
        return [state.absmax, state.code, *nested]
    scales = getattr(parameter, "SCB", None)  # int8
    return [] if scales is None else [scales]
