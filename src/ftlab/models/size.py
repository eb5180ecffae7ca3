"""Parameter counts that are the same for plain, quantised and PEFT-wrapped models."""

from torch import nn

from ftlab.record import Parameters


def parameter_count(model: nn.Module) -> Parameters:
    """Return the numbers of trainable and of all parameters.

    PEFT trains a copy of a new head and keeps the unused original beside it; the original is not counted.
    """
    counts = {
        name: (unpacked_numel(parameter), parameter.requires_grad)
        for name, parameter in model.named_parameters()
        if ".original_module." not in name
    }
    return Parameters(
        trainable=sum(count for count, trains in counts.values() if trains),
        total=sum(count for count, _ in counts.values()),
    )


def unpacked_numel(parameter: nn.Parameter) -> int:
    """Return the number of elements of a parameter, before packing if it is quantised."""
    state = getattr(parameter, "quant_state", None)
    if state is not None:  # nf4 packs two values into a byte; quant_state has the original shape
        return int(state.shape.numel())
    return parameter.numel()
