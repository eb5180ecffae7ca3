"""Merge of a trained adapter into half-precision weights, without losing the adapter to rounding."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import PreTrainedModel

from ftlab.core.batch import Batch
from ftlab.inference import verify
from ftlab.inference.finished_run import FinishedRun
from ftlab.models.structure import new_head_names


def merge_rounded(
    run: FinishedRun,
    model: nn.Module,
    texts: list[Batch],
    untrained: dict[str, torch.Tensor],
    expected: list[torch.Tensor],
    log: Callable[[str], None],
) -> tuple[nn.Module, str, list[torch.Tensor]]:
    """Merge in float32, and round to the run's dtype if the effect of the training survives that.

    A change of a weight below half a unit in its last place is lost, and training changes most weights by little: of
    bfloat16 weights that change by a thousandth, three quarters do not move.

    Args:
        run: the run.
        model: the trained model; it is changed.
        texts: the probe texts.
        untrained: weights of the base, see `untrained_weights`.
        expected: the logits of the trained model in the run's dtype.
        log: gets the share of the effect that survives.

    Returns:
        The merged model, the name of its dtype, and the logits that it must have when it is loaded again.
    """
    name = run.config.model.dtype
    dtype: torch.dtype = getattr(torch, name)
    trained = verify.trained_logits(run, model.float(), texts)
    merged = run.method.merge(model)
    weights = dict(merged.named_parameters())
    rounded = {key: weight.to(dtype).float() for key, weight in weights.items()}
    before = {key: untrained[key].float() for key in weights if key in untrained}
    share = verify.surviving_share(
        verify.plain_logits(merged, texts, rounded), trained, verify.plain_logits(merged, texts, before)
    )
    survives = f"{share:.0%} of what the adapter changes in the logits survives rounding the merged weights to {name}"
    if share >= verify.MIN_SURVIVING:
        log(survives)
        return merged.to(dtype), name, expected
    log(f"warning: {survives}, less than {verify.MIN_SURVIVING:.0%}: the model is written in float32")
    return merged, "float32", trained


def untrained_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return copies of the weights of a base that has not been changed yet, without those of a new head."""
    head = new_head_names(model)
    return {name: weight.detach().clone() for name, weight in model.state_dict().items() if name not in head}
