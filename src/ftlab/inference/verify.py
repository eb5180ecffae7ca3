"""Verification of exported models: their logits on a few texts must equal those of the trained model."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.func import functional_call
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ftlab.core.batch import Batch
from ftlab.core.errors import Failed
from ftlab.inference.finished_run import FinishedRun

PROBE_TEXTS = (
    "The striker scored twice in the second half.",
    "What is the capital of France, and how far is it from Berlin?",
    "今天天气很好。",
    "1 + 1 =",
)
MIN_SURVIVING = 0.9  # share of the training's effect that rounding the merged weights must leave
_MIN_TOLERANCE = 1e-3  # relative to the largest logit: merging weights in fp32 costs 1e-6 to 1e-4


def probe_batches(run: FinishedRun, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> list[Batch]:
    """Return each text as a batch of one, tokenized with Transformers alone and without padding."""
    batches = []
    for text in PROBE_TEXTS:
        batch = dict(tokenizer(text, truncation=True, max_length=run.config.max_length, return_tensors="pt"))
        if run.task.decoder_writes:
            start = torch.tensor([[model.config.decoder_start_token_id]])
            batch["decoder_input_ids"] = torch.cat([start, batch["input_ids"][:, :4]], dim=1)
        batches.append(batch)
    return batches


@torch.inference_mode()
def trained_logits(run: FinishedRun, model: nn.Module, probes: Sequence[Batch]) -> list[torch.Tensor]:
    """Return the logits as ftlab computes them for the run's metrics."""
    if run.task.cloze is not None:  # ftlab's logits are of classes, those of Transformers of tokens
        return plain_logits(model, probes)
    return [run.method.forward(model.eval(), dict(batch)).float() for batch in probes]


@torch.inference_mode()
def plain_logits(
    model: nn.Module, probes: Sequence[Batch], weights: dict[str, torch.Tensor] | None = None
) -> list[torch.Tensor]:
    """Return the logits of the model's own forward method, with these weights in place of its own."""
    return [functional_call(model.eval(), weights or {}, kwargs=batch).logits.float() for batch in probes]


def max_logit_difference(actual: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest absolute difference of a logit, without those of virtual tokens in front of the text."""
    differences = []
    for logits, reference in zip(actual, expected, strict=True):
        text_logits = logits[:, -reference.shape[1] :] if logits.ndim == 3 else logits
        differences.append((text_logits - reference).abs().max().item())
    return max(differences)


def surviving_share(
    actual: Sequence[torch.Tensor], trained: Sequence[torch.Tensor], untrained: Sequence[torch.Tensor]
) -> float:
    """Return how much of what training changed in the logits is left: 1 all of it, 0 nothing, or as much noise.

    It is 1 minus the distance of the logits from the trained ones, relative to the distance that training moved them.

    Args:
        actual: logits of the exported weights.
        trained: of the trained model.
        untrained: of the model before training, with the trained head if that is new.
    """
    distance, effect = (
        torch.cat([(logits - other).flatten() for logits, other in zip(first, trained, strict=True)]).norm().item()
        for first in (actual, untrained)
    )
    return 1.0 if distance == 0 else max(0.0, 1 - distance / effect) if effect else 0.0


def require_close(error: float, expected: Sequence[torch.Tensor], dtype: str, *, remedy: str) -> None:
    """Check that a difference is within the rounding error of the model's dtype; `remedy` ends the sentence.

    Raises:
        Failed: the difference is larger, or not a number.
    """
    largest = max(1.0, *(logits.abs().max().item() for logits in expected))
    limit = largest * max(_MIN_TOLERANCE, 10 * torch.finfo(getattr(torch, dtype)).eps)
    if not error <= limit:
        raise Failed(
            f"the exported model differs from the trained one (a logit differs by {error:.2e}, and rounding explains "
            f"{limit:.2e}): the export was deleted; {remedy}."
        )
