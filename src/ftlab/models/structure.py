"""Task head and transformer blocks of a Transformers model, found by structure, not by model type."""

from collections.abc import Collection

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ftlab.core.errors import UserError

_NEW = "new_module_names"  # attribute of a loaded model, see `mark_new_modules`


def transformer(model: nn.Module) -> PreTrainedModel | None:
    """Return the Transformers model itself or the one that a tuning method wrapped; None if there is none."""
    return next((module for module in model.modules() if isinstance(module, PreTrainedModel)), None)


def head_names(model: PreTrainedModel) -> list[str]:
    """Return the names, as in `named_parameters`, of the task head's parameters.

    For a language model these are the output embeddings, even if they are tied to the input embeddings (then under the
    name that `named_parameters` lists); otherwise everything outside the base model, and the modules within it that the
    checkpoint did not hold.
    """
    output = model.get_output_embeddings()
    if output is not None:
        members = {id(parameter) for parameter in output.parameters()}
        return [name for name, parameter in model.named_parameters() if id(parameter) in members]
    base, new = f"{model.base_model_prefix}.", tuple(f"{module}." for module in new_modules(model))
    return [name for name, _ in model.named_parameters() if not name.startswith(base) or name.startswith(new)]


def has_new_head(model: PreTrainedModel) -> bool:
    """Return whether the head is randomly initialised for the task; a language model's output layer is pretrained."""
    return model.get_output_embeddings() is None


def new_head_names(model: PreTrainedModel) -> set[str]:
    """Return the names of a new head's parameters; none for language models, whose output layer is pretrained."""
    return set(head_names(model)) if has_new_head(model) else set()


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


def new_modules(model: PreTrainedModel) -> list[str]:
    """Return the dotted names of layers below the head that the model's checkpoint did not hold, such as a pooler's.

    They start random, so every method must train and save them, as it does the head.
    """
    names: list[str] = getattr(model, _NEW, [])
    return names


def mark_new_modules(model: PreTrainedModel, parameters: Collection[str]) -> None:
    """Let `new_modules` return the layers that have these parameters.

    Args:
        model: a loaded model with a new head; changed in place.
        parameters: names of parameters below the head that were not in the checkpoint.
    """
    names: list[str] = []
    for owner in sorted({name.rpartition(".")[0] for name in parameters}):  # a layer comes before the layers inside it
        if not f"{owner}.".startswith(tuple(f"{name}." for name in names)):
            names.append(owner)
    setattr(model, _NEW, names)


def names_above_blocks(model: nn.Module) -> set[str]:
    """Return the names of the parameters that follow the last transformer block, such as a pooler; no embeddings.

    There are none in a model without blocks.
    """
    try:
        last = f"{blocks(model)[-1]}."
    except UserError:
        return set()
    names = [name for name, _ in model.named_parameters()]
    end = max(index for index, name in enumerate(names) if name.startswith(last))
    return set(names[end + 1 :]) - embedding_names(model)


def embedding_names(model: nn.Module) -> set[str]:
    """Return the names of the weights of all embeddings."""
    return {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Embedding)}


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
