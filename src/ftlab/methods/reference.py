"""Reference model: the base as it was before training, for losses that compare the trained model with it."""

from collections.abc import Callable

import torch
from torch import nn

from ftlab.core.batch import Batch
from ftlab.methods.base import TuningMethod
from ftlab.models import Base, base_weight_bytes
from ftlab.models.flops import count_matmul_params
from ftlab.models.frozen_prefix import eval_mode


class ReferenceModel:
    """Logits of the base before training, without dropout and without gradients.

    It is the trained model itself with its method switched off, or a frozen second base. It is no `nn.Module`: the
    module that holds it neither trains nor saves nor shards the second base.

    Attributes:
        model: the module that computes the logits, for `ftlab.models.output_layer.select_hidden`.
        weight_bytes: memory of the second base's weights; 0: there is none.
        matmul_params: parameters that each token is multiplied with.
    """

    def __init__(self, method: TuningMethod, model: nn.Module, frozen: Base | None) -> None:
        """Take the second base, if there is one; it is frozen here.

        Args:
            method: the tuning method.
            model: what `method.apply` returned.
            frozen: the base once more, as it was before `apply`; None: the method is switched off instead.
        """
        self._method = method
        self._frozen = frozen
        self.model = frozen.model.eval().requires_grad_(False) if frozen else model
        self.weight_bytes = base_weight_bytes(frozen.model) if frozen else 0
        self.matmul_params = count_matmul_params(self.model).forward

    @torch.no_grad()
    def logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits of the base, see `TuningMethod.forward`.

        Args:
            batch: inputs of the model, as `ftlab.core.batch.model_inputs` returns them.
        """
        if self._frozen:
            frozen_logits: torch.Tensor = self.model(**batch).logits
            return frozen_logits
        with eval_mode(self.model):
            logits = self._method.reference_logits(self.model, batch)
        assert logits is not None
        return logits


def build_reference_model(
    method: TuningMethod, model: nn.Module, probe: Batch, load_frozen: Callable[[], Base]
) -> ReferenceModel:
    """Return the reference model; before anything has been trained.

    Args:
        method: the tuning method.
        model: what `method.apply` returned.
        probe: inputs of the model, to find out whether the method can be switched off.
        load_frozen: loads the base once more, with the same new head; called only if it is needed.
    """
    with torch.no_grad(), eval_mode(model):
        can_be_switched_off = method.reference_logits(model, probe) is not None
    return ReferenceModel(method, model, None if can_be_switched_off else load_frozen())
