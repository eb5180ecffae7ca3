"""A few texts on which two models must agree: the proof that what was written is what was trained."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ftlab.deploy.finished import Finished
from ftlab.errors import Failed
from ftlab.methods.base import Batch

TEXTS = (
    "The striker scored twice in the second half.",
    "What is the capital of France, and how far is it from Berlin?",
    "今天天气很好。",
    "1 + 1 =",
)
_LEAST = 1e-3  # of the largest logit: folding weights in fp32 costs 1e-6 to 1e-4


def batches(run: Finished, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> list[Batch]:
    """Return every text as a batch of its own, as anybody would tokenize it: no padding, no ftlab."""
    found = []
    for text in TEXTS:
        batch = dict(tokenizer(text, truncation=True, max_length=run.config.max_length, return_tensors="pt"))
        if run.task.auto_class == "AutoModelForSeq2SeqLM":
            start = torch.tensor([[model.config.decoder_start_token_id]])
            batch["decoder_input_ids"] = torch.cat([start, batch["input_ids"][:, :4]], dim=1)
        found.append(batch)
    return found


@torch.inference_mode()
def trained_logits(run: Finished, model: nn.Module, probes: Sequence[Batch]) -> list[torch.Tensor]:
    """Return the logits that ftlab computes, those of the run's own metrics."""
    if run.task.cloze is not None:  # ftlab's are those of the classes; a library knows the words' alone
        return plain_logits(model, probes)
    return [run.method.forward(model.eval(), dict(batch)).float() for batch in probes]


@torch.inference_mode()
def plain_logits(model: nn.Module, probes: Sequence[Batch]) -> list[torch.Tensor]:
    """Return the logits that the library computes."""
    return [model.eval()(**batch).logits.float() for batch in probes]


def difference(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Return the largest difference of a logit. Virtual tokens in front have logits too: they are left out."""
    pairs = [
        (one[:, -other.shape[1] :] if one.ndim == 3 else one, other) for one, other in zip(found, expected, strict=True)
    ]
    return max((one - other).abs().max().item() for one, other in pairs)


def require_equal(error: float, expected: Sequence[torch.Tensor], dtype: str) -> None:
    """Refuse what lies beyond the rounding of the model's type.

    Raises:
        Failed: the largest difference is more than that, or not a number.
    """
    largest = max(1.0, *(logits.abs().max().item() for logits in expected))
    most = largest * max(_LEAST, 10 * torch.finfo(getattr(torch, dtype)).eps)
    if not error <= most:
        raise Failed(
            f"what was written answers differently from what was trained (a logit differs by {error:.2e}, and rounding "
            f"explains {most:.2e}): nothing was kept; please report it."
        )
