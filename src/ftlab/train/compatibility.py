"""Compatibility checks of model, method and data: positions, packing, and the rows of a run that resumes."""

from pathlib import Path

import torch
from transformers import PreTrainedModel

from ftlab import models
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.methods.base import TuningMethod
from ftlab.models.frozen_prefix import eval_mode, logits_match
from ftlab.record import RunRecord
from ftlab.record.checkpoints import FOLDER

_PROBE_TOKENS = 8  # of each of the two packed examples that the check uses


def require_enough_positions(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Check that the model has enough positions for the longest example and the method's virtual tokens.

    Raises:
        UserError: it has not.
    """
    positions, virtual_tokens = models.position_count(base.model), method.num_virtual_tokens
    if virtual_tokens and positions is not None and config.max_length + virtual_tokens > positions:
        raise UserError(
            f"model={config.model.name} has {positions} positions, method={config.method.name} takes {virtual_tokens} "
            f"of them, and max_length is {config.max_length}: set budget.max_length={positions - virtual_tokens}, or "
            "fewer virtual tokens."
        )


def require_same_rows(record: RunRecord, data_hash: str, directory: Path) -> None:
    """Check that a run that resumes has the rows that it began with.

    The name of its folder covers the contents of files, but neither what a hub returns nor how ftlab's version reads.

    Args:
        record: of the attempts before.
        data_hash: hash of the rows as they are read now.
        directory: the run's folder.

    Raises:
        UserError: it has others.
    """
    if record.data is not None and record.data.hash != data_hash:
        raise UserError(
            f"the rows of {record.dataset} are not those that this run began with: their source has changed, or this "
            f"version of ftlab reads them otherwise; delete {directory / FOLDER} to begin anew, or set sweep.name."
        )


def require_packing_support(config: RunConfig, base: models.Base, method: TuningMethod) -> None:
    """Check, by a forward pass, that packed examples do not attend to each other.

    Raises:
        UserError: they do.
    """
    if method.num_virtual_tokens or not _separates_packed_examples(base.model):
        raise UserError(
            f"model={config.model.name} ({base.model.config.model_type}) with method={config.method.name} cannot keep "
            "packed examples apart: set optim.packing=false (optim.group_by_length=true saves padding too)."
        )


@torch.no_grad()
def _separates_packed_examples(model: PreTrainedModel) -> bool:
    """Return whether the second of two packed examples has the same logits as by itself."""
    if model.config.is_encoder_decoder:
        return False
    ids = torch.arange(2 * _PROBE_TOKENS).remainder(model.config.get_text_config().vocab_size)[None]
    positions = torch.arange(_PROBE_TOKENS).repeat(2)[None]
    with eval_mode(model):
        try:
            packed = model(input_ids=ids, position_ids=positions).logits[0, _PROBE_TOKENS:]
            single = model(input_ids=ids[:, _PROBE_TOKENS:], position_ids=positions[:, _PROBE_TOKENS:]).logits[0]
        except TypeError:  # the model takes no position_ids
            return False
    return logits_match(packed, single)
