"""Training losses are what their papers say, and find what the head reads on every kind of model."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ftlab.config.losses import LossConfig
from ftlab.core.errors import UserError
from ftlab.tasks import sequence_losses
from ftlab.tasks.base import TaskModule
from tests.fixtures.refusals import refused
from tests.training import batch_for, config_for, module_for, task_for_model, task_named

PLAIN = LossConfig()


def _logits(seed: int, examples: int = 6, labels: int = 3) -> torch.Tensor:
    return torch.randn(examples, labels, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 5))
def test_focal_loss_is_weighted_cross_entropy_and_never_more(seed: int, gamma: float) -> None:
    logits, labels = _logits(seed), torch.arange(6) % 3
    right = logits.softmax(-1)[torch.arange(6), labels]
    focal = sequence_losses.single_label_loss(logits, labels, LossConfig(name="focal", gamma=gamma))
    torch.testing.assert_close(focal, ((1 - right) ** gamma * -right.log()).mean(), atol=1e-6, rtol=1e-4)
    assert focal <= F.cross_entropy(logits, labels) + 1e-6


def test_focal_loss_with_gamma_0_is_cross_entropy_with_weights_too() -> None:
    logits, labels, weights = _logits(0), torch.arange(6) % 3, torch.tensor([1.0, 2.0, 5.0])
    focal = sequence_losses.single_label_loss(logits, labels, LossConfig(name="focal", gamma=0.0), weights)
    torch.testing.assert_close(focal, sequence_losses.single_label_loss(logits, labels, PLAIN, weights))
    torch.testing.assert_close(focal, F.cross_entropy(logits, labels, weight=weights) * weights[labels].mean())
    several = F.one_hot(labels, 3).float()
    focal = sequence_losses.multi_label_loss(logits, several, LossConfig(name="focal", gamma=0.0), weights)
    torch.testing.assert_close(focal, F.binary_cross_entropy_with_logits(logits, several, pos_weight=weights))


def test_a_focal_loss_that_is_nearly_0_has_a_gradient() -> None:
    logits = torch.tensor([[40.0, -40.0]], requires_grad=True)
    sequence_losses.single_label_loss(logits, torch.tensor([0]), LossConfig(name="focal", gamma=0.5)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_distances() -> None:
    outputs, targets = torch.tensor([[0.0, 3.0]]), torch.tensor([[0.5, 0.0]])
    assert sequence_losses.regression_loss(outputs, targets, PLAIN).item() == pytest.approx((0.25 + 9) / 2)
    assert sequence_losses.regression_loss(outputs, targets, LossConfig(name="mae")).item() == pytest.approx(3.5 / 2)
    assert sequence_losses.regression_loss(outputs, targets, LossConfig(name="huber")).item() == pytest.approx(
        (0.125 + 2.5) / 2
    )


def test_balanced_weights_give_every_class_the_same_say() -> None:
    task = replace(task_named("classification"), loss=LossConfig(class_weights="balanced"))
    weights = sequence_losses.class_weights(task)
    assert weights is not None
    torch.testing.assert_close(weights * torch.tensor(task.label_shares), torch.full((3,), 1 / 3))
    task = replace(task_named("multilabel"), loss=LossConfig(class_weights="balanced"))
    assert sequence_losses.class_weights(task).tolist() == pytest.approx([0.4 / 0.6, 1.0, 9.0], rel=1e-5)


def test_weights_are_one_for_each_label() -> None:
    task = task_named("classification")
    assert sequence_losses.class_weights(task) is None
    with refused(UserError, "loss.class_weights", "2", "3", "business, sport, tech"):
        sequence_losses.class_weights(replace(task, loss=LossConfig(class_weights=[1.0, 2.0])))


def test_weights_that_are_given_leave_the_loss_its_size() -> None:
    """Whatever their unit: 1 on the mean of the training rows, of which the classes have 0.5, 0.3 and 0.2."""
    for weights in ([1.0, 2.0, 5.0], [10.0, 20.0, 50.0]):
        task = replace(task_named("classification"), loss=LossConfig(class_weights=weights))
        assert sequence_losses.class_weights(task).tolist() == pytest.approx([1 / 2.1, 2 / 2.1, 5 / 2.1])


def _by_hand(features: torch.Tensor, labels: list[int], temperature: float) -> float:
    """Equation 2 of Khosla et al. (2020), term by term."""
    unit = [(row / row.norm()).double() for row in features]
    found = []
    for i, own in enumerate(labels):
        partners = [j for j, other in enumerate(labels) if other == own and j != i]
        if partners:
            whole = sum(math.exp(float(unit[i] @ unit[a]) / temperature) for a in range(len(labels)) if a != i)
            shares = [math.exp(float(unit[i] @ unit[p]) / temperature) / whole for p in partners]
            found.append(-sum(map(math.log, shares)) / len(partners))
    return sum(found) / len(found) if found else 0.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=8), st.floats(0.05, 2), st.integers(0, 1000))
def test_the_contrastive_loss_is_that_of_the_paper(labels: list[int], temperature: float, seed: int) -> None:
    features = _logits(seed, len(labels), 5)
    found = sequence_losses.supervised_contrastive(features, torch.tensor(labels), temperature)
    assert found.item() == pytest.approx(_by_hand(features, labels, temperature), rel=1e-4, abs=1e-5)
    scaled = sequence_losses.supervised_contrastive(features * 7, torch.tensor(labels), temperature)
    torch.testing.assert_close(found, scaled, rtol=1e-4, atol=1e-5)


def test_without_two_of_a_class_there_is_nothing_to_draw_together() -> None:
    features = _logits(0, 3, 5).requires_grad_()
    loss = sequence_losses.supervised_contrastive(features, torch.arange(3), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert features.grad is not None
    assert not features.grad.any()


def _module(method: str, kind: str, loss: LossConfig) -> TaskModule:
    config = config_for(method, kind, "model.dropout=0.0" if kind != "llama" else "model.dropout=null")
    return module_for(config, task_for_model(config, task_named("classification")).with_loss(loss), steps=1)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("full", "bert"), ("lora", "bert"), ("adapter", "bert"), ("lora", "llama"), ("prompt", "llama"), ("full", "t5")],
)
def test_the_contrastive_loss_sees_what_the_head_reads(method: str, kind: str) -> None:
    module = _module(method, kind, LossConfig(contrastive=0.5)).eval()
    batch = batch_for(module.task)
    with torch.no_grad(), sequence_losses.capture_head_inputs(module._head_layers, batch["attention_mask"]) as seen:
        logits = module._logits(batch)
    (features,) = seen
    assert features.shape[0] == len(logits)
    heads = [layer for layer in module._head_layers if torch.allclose(layer(features).float(), logits, atol=1e-5)]
    assert heads  # the very layer, at the very position: its logits are the model's
    assert not any(layer._forward_pre_hooks for layer in module._head_layers)
    with torch.no_grad():
        plain = F.cross_entropy(logits, batch["labels"])
        extra = sequence_losses.supervised_contrastive(features, batch["labels"], 0.1)
        torch.testing.assert_close(module.loss(batch), plain + 0.5 * extra)


def test_the_loss_of_validation_is_plain_whatever_trains() -> None:
    strange = LossConfig(name="focal", gamma=3.0, class_weights=[1.0, 9.0, 4.0], contrastive=2.0)
    modules = [_module("full", "bert", loss).eval() for loss in (PLAIN, strange)]
    batch = batch_for(task_named("classification"))
    with torch.no_grad():
        assert modules[0].loss(batch) != modules[1].loss(batch)
        for module in modules:
            module.evaluate(batch, module.val_scores)
    one, other = (module.val_scores.compute() for module in modules)
    assert one == other
