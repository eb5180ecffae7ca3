"""Work of a tuning method in training: parameters in matrix products, and virtual tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from ftlab.config.groups import MethodConfig
from ftlab.methods.base import TuningMethod
from ftlab.methods.reference import ReferenceModel
from ftlab.models import flops
from ftlab.models.flops import MatmulParams


@dataclass(frozen=True)
class TrainingWork:
    """What a method computes in training.

    Attributes:
        params: the parameters that each token is multiplied with.
        virtual_tokens: how many pass through the model with each example; a key-value prefix adds none.
    """

    params: MatmulParams
    virtual_tokens: int

    @classmethod
    def of(
        cls, config: MethodConfig, method: TuningMethod, model: nn.Module, reference: ReferenceModel | None = None
    ) -> "TrainingWork":
        """Return the work of a method on the model that it made trainable; before a schedule freezes parameters.

        Args:
            config: of the method.
            method: the tuning method.
            model: what `method.apply` returned.
            reference: the reference model that each example passes through too; None: none does.
        """
        virtual_tokens = 0 if "cache" in config.needs else method.num_virtual_tokens
        params = matmul_params_in_training(method, model)
        return cls(replace(params, reference=reference.matmul_params if reference else 0), virtual_tokens)


def matmul_params_in_training(
    method: TuningMethod, model: nn.Module, *, modules: Sequence[nn.Module] | None = None
) -> MatmulParams:
    """Count the parameters that cost arithmetic in training, of a model or of some `modules` in it.

    If the method trains inputs, the gradient passes through all of them.
    """
    return flops.count_matmul_params(model, virtual_tokens=bool(method.num_virtual_tokens), modules=modules)
