"""Logits where something is to be predicted, and nowhere else: those of a whole batch are gigabytes.

A batch of 8 examples of 512 tokens has 800 MB of logits in a vocabulary of 49,152, and its loss holds several copies.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from ftlab.data.collate import IGNORED
from ftlab.data.pieces import in_pieces
from ftlab.errors import UserError
from ftlab.models.trunk import evaluating, some_tokens
from ftlab.tasks.base import Batch, Pieces, ScoresT, TaskModule
from ftlab.tasks.spec import Logits

CHUNK = 512  # positions whose logits are there at a time: 100 MB in a vocabulary of 49,152
_PLACES = "labelled"  # in a batch: see `places`


def places(targets: torch.Tensor) -> torch.Tensor:
    """Return row and column of each token that has a target, (2, labelled tokens); a device must be waited for."""
    return (targets != IGNORED).nonzero().T.contiguous()


class LabelledTokens(TaskModule[ScoresT]):
    """A task whose losses are those of tokens."""

    @abstractmethod
    def targets(self, batch: Batch) -> torch.Tensor:
        """Return what each position is to predict, (examples, tokens), or -100."""

    def on_before_batch_transfer(self, batch: Pieces, dataloader_idx: int) -> Pieces:
        """Look for the labelled tokens while a batch is in main memory."""
        found = [{**piece, _PLACES: places(self.targets(piece))} for piece in in_pieces(batch)]
        return found if isinstance(batch, list) else found[0]

    def labelled(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return row and column of each labelled token, (labelled tokens,) each."""
        rows, columns = batch[_PLACES] if _PLACES in batch else places(self.targets(batch))
        return rows, columns


@contextmanager
def read_at(
    model: nn.Module, wanted: tuple[torch.Tensor, torch.Tensor], tokens: int, *, score: bool
) -> Iterator[list[torch.Tensor]]:
    """Have the model's output layer see some positions alone, or none.

    Args:
        model: with output embeddings.
        wanted: row and column of each wanted position, (wanted positions,) each.
        tokens: of a row; what stands in front of them, as soft prompts do, is not counted in the columns.
        score: whether the output layer scores them: the model's logits are then (wanted positions, vocabulary). Else
            the model has no logits, and who asks calls the output layer on what it would have read.

    Yields:
        A list to which a forward pass adds what the output layer would have read, (wanted positions, size).
    """
    read: list[torch.Tensor] = []

    def pick(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        hidden, (rows, columns) = inputs[0], wanted
        length = hidden.shape[1]
        read.append(hidden.flatten(0, 1).index_select(0, rows * length + length - tokens + columns))
        return (read[-1] if score else read[-1][:0],)

    handle = output_layer(model).register_forward_pre_hook(pick)
    try:
        yield read
    finally:
        handle.remove()


def output_layer(model: nn.Module) -> nn.Module:
    """Return the layer that makes the logits, with what a tuning method put on it."""
    layer: nn.Module = model.get_output_embeddings()  # type: ignore[operator]
    return layer


def settle(
    asked: Literal["auto", "chunks", "labelled", "all"],
    forward: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor],
    model: nn.Module,
    *,
    alone: bool,
) -> Logits:
    """Return which logits a language model is to make.

    Args:
        asked: `speed.logits`.
        forward: the method's, which makes the model's logits of a batch.
        model: with output embeddings.
        alone: whether the output layer may be called by itself: not where its weights are shared out, nor where small
            gradients vanish before they are scaled up.

    Raises:
        UserError: chunks are asked for, and the model does not allow it.
    """
    if asked in ("all", "labelled"):
        return asked
    fits = alone and _scores_last(forward, model)
    if asked == "chunks" and not fits:
        raise UserError(
            "speed.logits=chunks needs a model whose logits are its output layer's, in one piece and not in fp16: set "
            "speed.logits=auto."
        )
    return "chunks" if fits else "labelled"


@torch.no_grad()
def _scores_last(forward: Callable[[nn.Module, dict[str, torch.Tensor]], torch.Tensor], model: nn.Module) -> bool:
    """Return whether logits are what the output layer says; it is tried. Some models scale, cap or shift them."""
    batch = some_tokens(model)
    if getattr(model.config, "is_encoder_decoder", False):
        batch["decoder_input_ids"] = batch["input_ids"]
    with evaluating(model):
        ids = batch["input_ids"]
        rows, columns = places(ids)
        with read_at(model, (rows, columns), ids.shape[1], score=True) as read:
            logits = forward(model, batch)
        return len(read) == 1 and torch.equal(output_layer(model)(read[0]), logits)


def mean_loss(layer: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK) -> torch.Tensor:
    """Return the mean cross entropy over positions, with no more than `chunk` of their logits at a time.

    The gradient is worked out with each chunk, while its logits are there, and kept until it is asked for: nothing is
    computed twice, and no logits are held. It is that of the whole, up to rounding.

    Args:
        layer: makes logits, (positions, vocabulary).
        hidden: what it reads, (positions, size).
        targets: tokens, (positions,).
        chunk: most positions at a time.
    """
    weights = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    loss: torch.Tensor = _InChunks.apply(hidden, targets, layer, chunk, *weights)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def losses_and_hits(
    layer: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, chunk: int = CHUNK
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross entropy of each position, and whether its most likely token was right, (positions,) each."""
    losses, hits = [], []
    for some, wanted in zip(hidden.split(chunk), targets.split(chunk), strict=True):
        logits = layer(some).float()
        losses.append(F.cross_entropy(logits, wanted, reduction="none"))
        hits.append((logits.argmax(-1) == wanted).float())
    return torch.cat(losses), torch.cat(hits)


class _InChunks(torch.autograd.Function):
    """Mean cross entropy behind a layer, whose gradient is worked out in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, layer: nn.Module, chunk: int, *weights: torch.Tensor
    ) -> torch.Tensor:
        count = max(1, len(targets))
        if not any(ctx.needs_input_grad):
            return losses_and_hits(layer, hidden, targets, chunk)[0].sum() / count
        of_hidden = torch.zeros_like(hidden) if hidden.requires_grad else None
        of_weights = [torch.zeros_like(weight) for weight in weights]
        total = torch.zeros((), device=hidden.device)
        for start in range(0, len(targets), chunk):
            part = slice(start, start + chunk)
            with torch.enable_grad():
                some = hidden[part].detach().requires_grad_(hidden.requires_grad)
                loss = F.cross_entropy(layer(some).float(), targets[part], reduction="sum") / count
                asked = [some, *weights] if hidden.requires_grad else list(weights)
                grads = torch.autograd.grad(loss, asked)
            if of_hidden is not None:
                of_hidden[part] = grads[0]
                grads = grads[1:]
            for kept, grad in zip(of_weights, grads, strict=True):
                kept += grad
            total += loss.detach()
        ctx.save_for_backward(*([] if of_hidden is None else [of_hidden]), *of_weights)
        ctx.of_hidden = of_hidden is not None
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grads = [kept * outputs[0] for kept in ctx.saved_tensors]
        first = grads.pop(0) if ctx.of_hidden else None
        return (first, None, None, None, *grads)
