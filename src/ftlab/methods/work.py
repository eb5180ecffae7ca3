"""Cost of a tuning method in training: parameters in matrix products, and virtual tokens."""

from collections.abc import Sequence

from torch import nn

from ftlab.config.run_config import RunConfig
from ftlab.methods.base import TuningMethod
from ftlab.models import flops
from ftlab.models.flops import MatmulParams


def matmul_params_in_training(
    method: TuningMethod, model: nn.Module, *, modules: Sequence[nn.Module] | None = None
) -> MatmulParams:
    """Count the parameters that cost arithmetic in training, of a model or of some `modules` in it.

    If the method trains inputs, the gradient passes through all of them.
    """
    return flops.count_matmul_params(model, virtual_tokens=bool(method.num_virtual_tokens), modules=modules)


def virtual_tokens(config: RunConfig, method: TuningMethod) -> int:
    """Return how many virtual tokens pass through the model with each example; a key-value prefix adds none."""
    return 0 if "cache" in config.method.needs else method.num_virtual_tokens
