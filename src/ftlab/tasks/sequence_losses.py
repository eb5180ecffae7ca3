"""Training losses of models with a new head, configured by `ftlab.config.losses`."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from ftlab.config.losses import LossConfig
from ftlab.config.task import Task
from ftlab.core.errors import UserError
from ftlab.models.structure import head_modules, transformer


def class_weights(task: Task) -> torch.Tensor | None:
    """Return a weight for each label, (labels,); None: all are equal.

    Balanced weights follow from the label frequencies f in the training rows: 1 / (classes · f) for classes, so that
    all classes contribute equally; (1 - f) / f for multi-label data, applied to rows that have the label. Class weights
    are scaled to a mean of 1 over the training rows.

    Raises:
        UserError: the number of configured weights is not that of the labels.
    """
    configured, labels = task.loss.class_weights, task.labels
    if configured is None:
        return None
    frequencies, multi_label = torch.tensor(task.label_shares), task.problem == "multi_label_classification"
    if configured == "balanced":
        return (1 - frequencies) / frequencies if multi_label else 1 / (len(labels) * frequencies)
    if len(configured) != len(labels):
        raise UserError(
            f"loss.class_weights has {len(configured)} numbers and there are {len(labels)} labels: give one for each "
            f"of {', '.join(labels[:20])}{', …' if len(labels) > 20 else ''}, in this order."
        )
    weights = torch.tensor(configured)
    return weights if multi_label else weights / (weights * frequencies).sum()


def single_label_loss(
    logits: torch.Tensor, labels: torch.Tensor, config: LossConfig, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean loss over the examples, each times the weight of its class.

    The sum is divided by the number of examples. Torch divides by the sum of their weights, which differs between the
    micro-batches of a step, so that the loss of a step would depend on how it is split.

    Args:
        logits: (examples, classes).
        labels: class ids, (examples,).
        config: cross entropy, with or without label smoothing, or focal loss (Lin et al., 2017, "Focal Loss for
            Dense Object Detection", equation 5).
        weights: class weights, (classes,).
    """
    if config.gamma is None:
        smoothing = config.label_smoothing
        return F.cross_entropy(logits, labels, weights, reduction="none", label_smoothing=smoothing).mean()
    focal = _focal(F.cross_entropy(logits, labels, reduction="none"), config.gamma)
    return (focal if weights is None else weights[labels] * focal).mean()


def multi_label_loss(
    logits: torch.Tensor, labels: torch.Tensor, config: LossConfig, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean binary cross entropy, or focal loss, over examples and labels.

    Args:
        logits: (examples, labels).
        labels: 1.0 if the example has the label, else 0.0; of the same shape.
        config: the configured loss.
        weights: weight of the loss of a label that the example has, (labels,).
    """
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if config.gamma is not None:
        losses = _focal(losses, config.gamma)
    if weights is not None:
        losses = torch.where(labels > 0, weights, 1.0) * losses
    return losses.mean()


def _focal(losses: torch.Tensor, gamma: float) -> torch.Tensor:
    """Multiply each cross entropy by (1 - p) ** gamma, where p is the probability of the correct label."""
    complement = -torch.expm1(-losses)
    return complement.clamp(min=1e-8) ** gamma * losses  # at 0, powers below 1 have no gradient


def regression_loss(outputs: torch.Tensor, targets: torch.Tensor, config: LossConfig) -> torch.Tensor:
    """Return the mean loss over examples and targets; outputs and targets are standardised, of the same shape."""
    if config.name == "mae":
        return F.l1_loss(outputs, targets)
    return F.huber_loss(outputs, targets) if config.name == "huber" else F.mse_loss(outputs, targets)


def supervised_contrastive(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the loss of Khosla et al., 2020, "Supervised Contrastive Learning", equation 2 (L_out).

    Args:
        features: the head's input for each example, (examples, size); only its direction matters.
        labels: class ids, (examples,).
        temperature: divisor of the cosines.

    Returns:
        The mean over the examples that share their class with another one in the batch; 0 if there are none.
    """
    normalised = F.normalize(features.float(), dim=-1)
    diagonal = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similarities = (normalised @ normalised.T / temperature).masked_fill(diagonal, -torch.inf)
    log_probabilities = similarities.log_softmax(-1).masked_fill(diagonal, 0.0)
    positives = (labels[:, None] == labels) & ~diagonal
    counts = positives.sum(-1)
    losses = -(log_probabilities * positives).sum(-1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)


def head_layers(model: nn.Module, task: Task) -> list[nn.Linear]:
    """Return the linear layers that may compute the logits in the head.

    A trained copy of a head is beside the base model's own, which does not run; the forward pass shows which one runs.

    Raises:
        UserError: the model has no such layer.
    """
    base = transformer(model)
    heads = [base.get_submodule(name) for name in head_modules(base)] if base else []
    layers = [
        layer
        for head in heads
        for layer in head.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == len(task.labels)
    ]
    if not layers:
        raise UserError(
            f"loss.contrastive needs a linear head, and none is found in {type(model).__name__}: use loss=default."
        )
    return layers


@contextmanager
def capture_head_inputs(layers: list[nn.Linear], attention_mask: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Capture the input of the layer that runs for each example: a list of one tensor, (examples, size).

    Decoders apply the head to every position; the input at the last token before the padding is captured, also with
    virtual tokens in front.
    """
    captured: list[torch.Tensor] = []

    def capture(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        hidden = inputs[0]
        if hidden.ndim == 3:
            positions = torch.arange(attention_mask.shape[1], device=hidden.device)
            last = (positions * attention_mask).argmax(-1) + hidden.shape[1] - attention_mask.shape[1]
            hidden = hidden[torch.arange(len(hidden), device=hidden.device), last]
        captured.append(hidden)

    handles = [layer.register_forward_pre_hook(capture) for layer in layers]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()
