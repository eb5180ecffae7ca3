"""Task head and transformer blocks of a Transformers model, found by structure, not by model type."""

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftlab.core.errors import UserError


def transformer(model: nn.Module) -> PreTrainedModel | None:
    """Return the Transformers model itself or the one that a tuning method wrapped; None if there is none."""
    return next((module for module in model.modules() if isinstance(module, PreTrainedModel)), None)


def head_names(model: PreTrainedModel) -> list[str]:
    """Return the names, as in `named_parameters`, of the task head's parameters.

    For a language model these are the output embeddings, even if they are tied to the input embeddings (then under the
    name that `named_parameters` lists); otherwise everything outside the base model.
    """
    output = model.get_output_embeddings()
    if output is not None:
        members = {id(parameter) for parameter in output.parameters()}
        return [name for name, parameter in model.named_parameters() if id(parameter) in members]
    base = f"{model.base_model_prefix}."
    return [name for name, _ in model.named_parameters() if not name.startswith(base)]


def has_new_head(model: PreTrainedModel) -> bool:
    """Return whether the head is randomly initialised for the task; a language model's output layer is pretrained."""
    return model.get_output_embeddings() is None


def head_modules(model: PreTrainedModel) -> list[str]:
    """Return the dotted names of the task head's modules, which quantisation must skip."""
    output = model.get_output_embeddings()
    if output is not None:
        return [name for name, module in model.named_modules() if module is output]
    return [
        name
        for name, child in model.named_children()
        if name != model.base_model_prefix and any(True for _ in child.parameters())
    ]


def position_count(model: PreTrainedModel) -> int | None:
    """Return the number of positions a model supports; None if it has no limit, as with T5's relative positions."""
    declared: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if declared is None:
        return None
    for name, module in model.named_modules():
        # RoBERTa-type models number positions from padding_idx + 1
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return declared - module.padding_idx - 1
    return declared


def blocks(model: nn.Module) -> list[str]:
    """Return the dotted names of the transformer blocks from bottom to top, encoder before decoder.

    Blocks are the members of the outermost `nn.ModuleList`s whose members all have the same class and hold parameters.

    Raises:
        UserError: the model has no such list.
    """
    names: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{block}.") for block in names)
        if isinstance(module, nn.ModuleList) and not inside and _is_stack(module):
            names.extend(f"{name}.{index}" for index in range(len(module)))
    if not names:
        raise UserError(
            f"No transformer blocks were found in {type(model).__name__}: it has no list of equal layers, "
            "so methods that count layers cannot use it."
        )
    return names


def attention_projections(model: nn.Module) -> list[str]:
    """Return the dotted names of the linear layers inside attention modules: query, key, value, output, or fused ones.

    An attention module has "Attention" in its class name, as in all of Transformers; layers quantised by bitsandbytes
    are linear too.
    """
    inside = tuple(f"{name}." for name, module in model.named_modules() if "Attention" in type(module).__name__)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and name.startswith(inside)
    ]


def _is_stack(modules: nn.ModuleList) -> bool:
    classes = {type(module) for module in modules}
    return len(classes) == 1 and any(True for _ in modules.parameters())
