"""Whether an example finds room among the positions that a model sees, and a row of a batch to share."""

import torch
from transformers import PreTrainedModel

from ftlab import models
from ftlab.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.models.trunk import evaluating, same
from ftlab.schema import RunConfig

_PROBE = 8  # tokens of an example that is tried for whether it stays apart


def require_room(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Refuse examples that do not fit beside what the method puts before them; the positions would run out.

    Raises:
        UserError: they do not fit.
    """
    positions, added = models.position_count(base.model), method.added_positions
    if added and positions is not None and config.max_length + added > positions:
        raise UserError(
            f"model={config.model.name} sees {positions} positions, method={config.method.name} takes {added} of them, "
            f"and max_length is {config.max_length}: set budget.max_length={positions - added}, or fewer virtual "
            "tokens."
        )


def require_separation(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Refuse to pack for a model in which an example sees another one of its row; it is tried.

    Raises:
        UserError: the examples do not stay apart.
    """
    if method.added_positions or not _stays_apart(base.model):
        raise UserError(
            f"model={config.model.name} ({base.model.config.model_type}) with method={config.method.name} cannot keep "
            "examples that share a row apart: set optim.packing=false (optim.group_by_length=true saves padding too)."
        )


@torch.no_grad()
def _stays_apart(model: PreTrainedModel) -> bool:
    """Return whether the second of two examples in a row has the logits that it has alone."""
    if model.config.is_encoder_decoder:
        return False
    ids = torch.arange(2 * _PROBE).remainder(model.config.get_text_config().vocab_size)[None]
    positions = torch.arange(_PROBE).repeat(2)[None]
    with evaluating(model):
        try:
            together = model(input_ids=ids, position_ids=positions).logits[0, _PROBE:]
            alone = model(input_ids=ids[:, _PROBE:], position_ids=positions[:, _PROBE:]).logits[0]
        except TypeError:  # it takes no positions
            return False
    return same(together, alone)
