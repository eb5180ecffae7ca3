"""How many parameters a model has, counted the same for plain, quantised and PEFT-wrapped ones."""

from torch import nn

from ftlab.record import Parameters


def parameter_count(model: nn.Module) -> Parameters:
    """Return trainable and total parameters.

    PEFT trains a copy of a new head and keeps the original beside it, out of use: that one does not count.
    """
    counts = {
        name: (elements(parameter), parameter.requires_grad)
        for name, parameter in model.named_parameters()
        if ".original_module." not in name
    }
    return Parameters(
        trainable=sum(count for count, trains in counts.values() if trains),
        total=sum(count for count, _ in counts.values()),
    )


def elements(parameter: nn.Parameter) -> int:
    """Return how many numbers a parameter stands for, quantised or not."""
    state = getattr(parameter, "quant_state", None)
    if state is not None:  # nf4 packs two values into a byte; its state remembers the shape
        return int(state.shape.numel())
    return parameter.numel()
