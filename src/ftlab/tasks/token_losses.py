"""Token losses that compute logits only for tokens with a loss: the logits of a whole batch can take gigabytes.

A batch of 8 examples of 512 tokens has 800 MB of logits with a vocabulary of 49,152, and its loss keeps several copies.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from ftlab.config.task import Logits
from ftlab.core.batch import Batch, micro_batches
from ftlab.core.errors import UserError
from ftlab.models.frozen_prefix import dummy_inputs, eval_mode
from ftlab.models.output_layer import output_layer, select_hidden, target_positions
from ftlab.tasks.base import BatchOrMicroBatches, ScoresT, TaskModule

CHUNK = 512  # positions whose logits exist at a time: 100 MB with a vocabulary of 49,152
_POSITIONS = "labelled"  # key of a batch: see `loss_positions`


class TokenTask(TaskModule[ScoresT]):
    """A task with a loss for each token."""

    @abstractmethod
    def targets(self, batch: Batch) -> torch.Tensor:
        """Return the target of each position, (examples, tokens); -100: no loss."""

    def on_before_batch_transfer(self, batch: BatchOrMicroBatches, dataloader_idx: int) -> BatchOrMicroBatches:
        """Compute the positions with a loss while the batch is in main memory, which needs no synchronisation."""
        extended = [
            {**micro_batch, _POSITIONS: target_positions(self.targets(micro_batch))}
            for micro_batch in micro_batches(batch)
        ]
        return extended if isinstance(batch, list) else extended[0]

    def loss_positions(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return row and column of each labelled token, (labelled tokens,) each."""
        rows, columns = batch[_POSITIONS] if _POSITIONS in batch else target_positions(self.targets(batch))
        return rows, columns


def choose_logits(
    setting: Literal["auto", "chunks", "labelled", "all"],
    forward: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor],
    model: nn.Module,
    *,
    output_layer_callable: bool,
) -> Logits:
    """Return which logits a language model computes.

    Args:
        setting: `speed.logits`.
        forward: `method.forward`.
        model: a model with output embeddings.
        output_layer_callable: whether the output layer may be called outside the model's forward pass; not if its
            weights are sharded, and not in fp16, where small gradients would vanish before they are scaled up.

    Raises:
        UserError: the setting is `chunks`, and the model does not support it.
    """
    if setting in ("all", "labelled"):
        return setting
    supported = output_layer_callable and _output_layer_makes_logits(forward, model)
    if setting == "chunks" and not supported:
        raise UserError(
            "speed.logits=chunks needs a model whose logits are its output layer's, unsharded and not in fp16: set "
            "speed.logits=auto."
        )
    return "chunks" if supported else "labelled"


@torch.no_grad()
def _output_layer_makes_logits(
    forward: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor], model: nn.Module
) -> bool:
    """Return whether the output layer's outputs are the logits, by running it; some models scale, cap or shift them."""
    batch = dummy_inputs(model)
    if getattr(model.config, "is_encoder_decoder", False):
        batch["decoder_input_ids"] = batch["input_ids"]
    with eval_mode(model):
        ids = batch["input_ids"]
        rows, columns = target_positions(ids)
        with select_hidden(model, (rows, columns), ids.shape[1], score=True) as selected:
            logits = forward(model, batch)
        return len(selected) == 1 and torch.equal(output_layer(model)(selected[0]), logits)


def mean_loss(layer: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK) -> torch.Tensor:
    """Return the mean cross entropy over positions, with the logits of at most `chunk` positions in memory.

    The gradient of each chunk is computed in the forward pass, while its logits exist, and kept for the backward pass:
    nothing is computed twice, and no logits are kept. It equals the gradient without chunks up to rounding.

    Args:
        layer: output layer, which returns logits (positions, vocabulary).
        hidden: its inputs, (positions, size).
        targets: tokens, (positions,).
        chunk: largest number of positions at a time.
    """
    weights = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    loss: torch.Tensor = _ChunkedCrossEntropy.apply(hidden, targets, layer, chunk, *weights)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def losses_and_hits(
    layer: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cross entropy and correctness of the most likely token for each position, (positions,) each."""
    losses, hits = [], []
    for hidden_chunk, target_chunk in zip(hidden.split(chunk), targets.split(chunk), strict=True):
        logits = layer(hidden_chunk).float()
        losses.append(F.cross_entropy(logits, target_chunk, reduction="none"))
        hits.append((logits.argmax(-1) == target_chunk).float())
    return torch.cat(losses), torch.cat(hits)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross entropy of a layer's logits, whose gradient is computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, layer: nn.Module, chunk: int, *weights: torch.Tensor
    ) -> torch.Tensor:
        count = max(1, len(targets))
        if not any(ctx.needs_input_grad):
            return losses_and_hits(layer, hidden, targets, chunk)[0].sum() / count
        hidden_grad = torch.zeros_like(hidden) if hidden.requires_grad else None
        weight_grads = [torch.zeros_like(weight) for weight in weights]
        total = torch.zeros((), device=hidden.device)
        for start in range(0, len(targets), chunk):
            rows = slice(start, start + chunk)
            with torch.enable_grad():
                hidden_chunk = hidden[rows].detach().requires_grad_(hidden.requires_grad)
                loss = F.cross_entropy(layer(hidden_chunk).float(), targets[rows], reduction="sum") / count
                inputs = [hidden_chunk, *weights] if hidden.requires_grad else list(weights)
                grads = torch.autograd.grad(loss, inputs)
            if hidden_grad is not None:
                hidden_grad[rows] = grads[0]
                grads = grads[1:]
            for weight_grad, grad in zip(weight_grads, grads, strict=True):
                weight_grad += grad
            total += loss.detach()
        ctx.save_for_backward(*([] if hidden_grad is None else [hidden_grad]), *weight_grads)
        ctx.has_hidden_grad = hidden_grad is not None
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grads = [grad * outputs[0] for grad in ctx.saved_tensors]
        hidden_grad = grads.pop(0) if ctx.has_hidden_grad else None
        return (hidden_grad, None, None, None, *grads)
