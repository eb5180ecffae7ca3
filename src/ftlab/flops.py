"""How much arithmetic training takes, estimated from counts of parameters and tokens; nothing is measured here.

A matrix product of a weight with one token is a multiplication and an addition for each of the weight's elements. So a
token costs, with N parameters that are multiplied with it (Kaplan et al., 2020, "Scaling laws for neural language
models", section 2.1; Hoffmann et al., 2022, "Training compute-optimal large language models", appendix F):

- forward: 2 N
- backward, gradients of activations: 2 for each parameter that the gradient passes through on its way down
- backward, gradients of weights: 2 for each parameter that trains

Where everything trains, these are the well-known 6 N. Where LoRA trains 1 % of the parameters, 4.02 N are left: the
gradient passes through frozen weights too. Where a new head alone trains, little more than 2 N.

Left out, as there: attention's own products (which count where texts are longer than about twelve times the width of
the model), look-ups of embeddings, normalisation, the optimizer, and what checkpointing of activations computes twice.
Of encoder-decoders it is an upper bound: it has each token go through both halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ftlab.models.size import elements

_UNUSED = ".original_module."  # PEFT keeps the head that it replaced


@dataclass(frozen=True)
class Work:
    """The parameters that take part in each kind of work, see above.

    Attributes:
        forward: that are multiplied with every token.
        backward: of these, those that the gradient passes through.
        trained: those that train, biases and factors included.
    """

    forward: int
    backward: int
    trained: int

    def flops(self, tokens: int) -> float:
        """Return the estimated floating-point operations of training on so many tokens, see `training_flops`."""
        return training_flops(self.forward, self.trained, tokens, self.backward)


def training_flops(
    total_params_in_matmuls: int, trainable_params: int, tokens: int, backward_params: int | None = None
) -> float:
    """Return the estimated floating-point operations of training on so many tokens.

    Args:
        total_params_in_matmuls: parameters that are multiplied with each token.
        trainable_params: parameters whose own gradient is computed.
        tokens: real ones, virtual tokens in front of a text included, padding not.
        backward_params: parameters that the gradient passes through; None: all that are multiplied.
    """
    backward = total_params_in_matmuls if backward_params is None else backward_params
    return 2.0 * (total_params_in_matmuls + backward + trainable_params) * tokens


def inference_flops(total_params_in_matmuls: int, tokens: int) -> float:
    """Return the estimated floating-point operations of reading so many tokens: the forward pass alone."""
    return 2.0 * total_params_in_matmuls * tokens


def work(model: nn.Module, *, virtual_tokens: bool = False, parts: Sequence[nn.Module] | None = None) -> Work:
    """Count the parameters of a model that a method has made trainable.

    The gradient passes through every weight that stands behind the first one that trains, in the model's own order.

    Args:
        model: what `method.apply` returned.
        virtual_tokens: whether the method trains inputs, so that the gradient passes through the whole model.
        parts: modules inside, to count these alone; None: all.
    """
    counted = {id(module) for part in ([model] if parts is None else parts) for module in part.modules()}
    forward, behind, trained, begun = 0, 0, 0, virtual_tokens
    for name, module in model.named_modules():
        looked_up = isinstance(module, nn.Embedding)
        for own, parameter in module.named_parameters(prefix=name, recurse=False):
            if _UNUSED in own:
                continue
            begun = begun or parameter.requires_grad
            if id(module) not in counted:
                continue
            count = elements(parameter)
            if parameter.requires_grad and not looked_up:
                trained += count
            if parameter.ndim > 1 and not looked_up:  # a tied output layer counts: it is no look-up
                forward += count
                behind += count if begun else 0
    return Work(forward, behind, trained)
