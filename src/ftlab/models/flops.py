"""FLOPs of training and inference, estimated from counts of parameters and tokens; nothing is measured here.

Multiplying a weight with one token takes a multiplication and an addition for each element of the weight. So with N
parameters in matrix products, a token costs (Kaplan et al., 2020, "Scaling laws for neural language models", section
2.1; Hoffmann et al., 2022, "Training compute-optimal large language models", appendix F):

- forward: 2 N
- backward, gradients of activations: 2 for each parameter that the gradient passes through
- backward, gradients of weights: 2 for each trainable parameter

If everything trains, this is the well-known 6 N. If LoRA trains 1 % of the parameters, it is 4.02 N: the gradient
passes through frozen weights too. If only a new head trains, it is little more than 2 N.

Not counted, as in these papers: the products inside attention (which matter if texts are longer than about twelve
times the width of the model), embedding look-ups, normalisation, the optimizer, and what activation checkpointing
recomputes. For encoder-decoders the estimate is an upper bound: it counts every token in both halves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ftlab.models.size import unpacked_numel

_UNUSED = ".original_module."  # PEFT keeps the original of a head that it trains a copy of


@dataclass(frozen=True)
class MatmulParams:
    """Number of parameters that cost arithmetic in each pass, see above.

    Attributes:
        forward: parameters that are multiplied with every token.
        backward: those of them that the gradient passes through.
        trained: trainable parameters, biases and scaling vectors included.
        reference: parameters of a reference model, which every token passes through forwards.
    """

    forward: int
    backward: int
    trained: int
    reference: int = 0

    def flops(self, tokens: int) -> float:
        """Return the estimated FLOPs of training on this many tokens, see `training_flops`."""
        training = training_flops(self.forward, self.trained, tokens, self.backward)
        return training + inference_flops(self.reference, tokens)


def training_flops(
    total_params_in_matmuls: int, trainable_params: int, tokens: int, backward_params: int | None = None
) -> float:
    """Return the estimated FLOPs of training on this many tokens.

    Args:
        total_params_in_matmuls: parameters that are multiplied with each token.
        trainable_params: parameters whose own gradient is computed.
        tokens: number of tokens, with virtual tokens in front of a text, without padding.
        backward_params: parameters that the gradient passes through; None: `total_params_in_matmuls`.
    """
    backward = total_params_in_matmuls if backward_params is None else backward_params
    return 2.0 * (total_params_in_matmuls + backward + trainable_params) * tokens


def inference_flops(total_params_in_matmuls: int, tokens: int) -> float:
    """Return the estimated FLOPs of the forward pass alone over this many tokens."""
    return 2.0 * total_params_in_matmuls * tokens


def count_matmul_params(
    model: nn.Module, *, virtual_tokens: bool = False, modules: Sequence[nn.Module] | None = None
) -> MatmulParams:
    """Count the parameters of a model that a method has made trainable.

    The gradient passes through every weight after the first trainable one, in the model's own order.

    Args:
        model: what `method.apply` returned.
        virtual_tokens: whether the method trains inputs, so that the gradient passes through the whole model.
        modules: submodules of the model; only these are counted. None: all.
    """
    counted = {id(module) for root in ([model] if modules is None else modules) for module in root.modules()}
    forward, backward, trained, needs_gradient = 0, 0, 0, virtual_tokens
    for path, module in model.named_modules():
        is_lookup = isinstance(module, nn.Embedding)
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            if _UNUSED in name:
                continue
            needs_gradient = needs_gradient or parameter.requires_grad
            if id(module) not in counted:
                continue
            count = unpacked_numel(parameter)
            if parameter.requires_grad and not is_lookup:
                trained += count
            if parameter.ndim > 1 and not is_lookup:  # a tied output layer counts: it is no look-up
                forward += count
                backward += count if needs_gradient else 0
    return MatmulParams(forward, backward, trained)
