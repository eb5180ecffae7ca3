"""Training losses of models with a new head, as `ftlab.losses` has them configured."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from ftlab.errors import UserError
from ftlab.losses import LossConfig
from ftlab.models.structure import head_modules, transformer
from ftlab.tasks.spec import Task


def class_weights(task: Task) -> torch.Tensor | None:
    """Return a weight for each label, (labels,); None: all are equal.

    Balanced weights follow from the shares of the training rows. Of classes, 1 / (classes · share), so that each has as
    much to say as the others; of multi-label data, (1 - share) / share for rows that have the label. Weights of classes
    are scaled to a mean of 1 over the training rows.

    Raises:
        UserError: weights were given, and not one for each label.
    """
    given, labels = task.loss.class_weights, task.labels
    if given is None:
        return None
    shares, several = torch.tensor(task.label_shares), task.problem == "multi_label_classification"
    if given == "balanced":
        return (1 - shares) / shares if several else 1 / (len(labels) * shares)
    if len(given) != len(labels):
        raise UserError(
            f"loss.class_weights has {len(given)} numbers and there are {len(labels)} labels: give one for each of "
            f"{', '.join(labels[:20])}{', …' if len(labels) > 20 else ''}, in this order."
        )
    weights = torch.tensor(given)
    return weights if several else weights / (weights * shares).sum()


def single_label(
    logits: torch.Tensor, labels: torch.Tensor, config: LossConfig, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean loss over the examples, each times the weight of its class.

    The sum is divided by the number of examples. That of their weights, as in torch, differs from one micro-batch of a
    step to the next, and a step cut up would not be the same step.

    Args:
        logits: (examples, classes).
        labels: class ids, (examples,).
        config: cross entropy, smoothed or not, or the focal loss (Lin et al., 2017, "Focal Loss for Dense Object
            Detection", equation 5).
        weights: of the classes, (classes,).
    """
    if config.gamma is None:
        smoothing = config.label_smoothing
        return F.cross_entropy(logits, labels, weights, reduction="none", label_smoothing=smoothing).mean()
    focal = _focused(F.cross_entropy(logits, labels, reduction="none"), config.gamma)
    return (focal if weights is None else weights[labels] * focal).mean()


def multi_label(
    logits: torch.Tensor, labels: torch.Tensor, config: LossConfig, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean binary cross entropy, or focal loss, over examples and labels.

    Args:
        logits: (examples, labels).
        labels: 1.0 where the example has the label, else 0.0; of the same shape.
        config: says which.
        weights: how much an example counts that has the label, (labels,).
    """
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if config.gamma is not None:
        losses = _focused(losses, config.gamma)
    if weights is not None:
        losses = torch.where(labels > 0, weights, 1.0) * losses
    return losses.mean()


def _focused(losses: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weigh each loss by how much its right answer lacks of probability 1, to the power of gamma."""
    lack = -torch.expm1(-losses)
    return lack.clamp(min=1e-8) ** gamma * losses  # at 0, powers below 1 have no gradient


def distance(outputs: torch.Tensor, targets: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """Return the mean distance over examples and targets, both standardised and of the same shape."""
    if config.name == "mae":
        return F.l1_loss(outputs, targets)
    return F.huber_loss(outputs, targets) if config.name == "huber" else F.mse_loss(outputs, targets)


def supervised_contrastive(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the loss of Khosla et al., 2020, "Supervised Contrastive Learning", equation 2 (L_out).

    Args:
        features: what the head reads of each example, (examples, size); only its direction counts.
        labels: class ids, (examples,).
        temperature: divides the cosines.

    Returns:
        The mean over the examples that have another one of their class in the batch; 0 where none has.
    """
    unit = F.normalize(features.float(), dim=-1)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    cosines = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    log_shares = cosines.log_softmax(-1).masked_fill(itself, 0.0)
    partners = (labels[:, None] == labels) & ~itself
    counts = partners.sum(-1)
    losses = -(log_shares * partners).sum(-1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)


def head_inputs(model: nn.Module, task: Task) -> list[nn.Linear]:
    """Return the layers, one of which makes the logits out of what the head reads of a text.

    A tuned head stands beside the base's own, which is there and not asked: the one that runs tells.

    Raises:
        UserError: the model has no such layer.
    """
    base = transformer(model)
    heads = [base.get_submodule(name) for name in head_modules(base)] if base else []
    found = [
        layer
        for head in heads
        for layer in head.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == len(task.labels)
    ]
    if not found:
        raise UserError(
            f"loss.contrastive needs a linear head, and none is found in {type(model).__name__}: use loss=default."
        )
    return found


@contextmanager
def watched(layers: list[nn.Linear], attention_mask: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Collect what the layer that runs reads of each example: a list of one tensor, (examples, size).

    Decoders score every position; what counts there is the last real token, whatever a prompt puts in front.
    """
    seen: list[torch.Tensor] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        hidden = inputs[0]
        if hidden.ndim == 3:
            positions = torch.arange(attention_mask.shape[1], device=hidden.device)
            last = (positions * attention_mask).argmax(-1) + hidden.shape[1] - attention_mask.shape[1]
            hidden = hidden[torch.arange(len(hidden), device=hidden.device), last]
        seen.append(hidden)

    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
