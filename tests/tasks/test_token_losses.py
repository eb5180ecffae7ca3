"""Logits at labelled tokens alone, in chunks or not, are the same loss and the same gradient as all of them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ftlab import tasks
from ftlab.config.task import Logits
from ftlab.core.batch import IGNORE_INDEX
from ftlab.core.errors import UserError
from ftlab.tasks import token_losses
from ftlab.train.optim import optimizer_factory
from tests.fixtures.refusals import refused
from tests.fixtures.tasks import MASKED_LM
from tests.training import applied, batch_for, config_for, module_for, task_for_model, task_named

MODELS = ("gpt2", "llama", "t5")
METHODS = ("full", "lora", "prefix", "prompt")


def loss_and_gradient(method: str, kind: str, logits: Logits) -> tuple[torch.Tensor, torch.Tensor, list]:
    config = config_for(method, kind)
    task = task_for_model(config, task_named("instruction"))
    tuning, model = applied(config, task)
    module = tasks.build_task(task, model, tuning, optimizer_factory(config.optim, total_steps=1), logits=logits)
    batch = batch_for(task)
    module.eval()  # without dropout
    loss = module.loss(batch)
    loss.backward()
    state = module.state_dict(keep_vars=True)
    gradient = torch.cat([state[f"model.{name}"].grad.flatten() for name in module.trainable])
    scores = module.new_scores()
    return loss.detach(), gradient, [module.evaluate(batch, scores), scores.compute()]


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        *((method, kind) for method in METHODS for kind in MODELS),
        *((method, "llama") for method in ("head", "adapter")),  # they leave the forward pass as it is, on every model
    ],
)
def test_loss_and_gradient_are_those_of_all_logits(method: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_losses.mean_loss, "__defaults__", (5,))  # 30 labelled tokens: the last chunk is not full
    monkeypatch.setattr(token_losses.losses_and_hits, "__defaults__", (7,))
    loss, gradient, evaluated = loss_and_gradient(method, kind, "all")
    assert gradient.norm() > 0
    ways: tuple[Logits, ...] = ("labelled", "chunks")
    for logits in ways:
        found, its_gradient, also = loss_and_gradient(method, kind, logits)
        torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-6, msg=logits)
        assert float((its_gradient - gradient).norm()) < 1e-5 * float(gradient.norm()), logits
        for row, other in zip(also[0], evaluated[0], strict=True):
            assert row == pytest.approx(other, rel=1e-5), logits
        assert also[1]["loss"].value == pytest.approx(evaluated[1]["loss"].value, rel=1e-5), logits
        assert also[1]["loss"].n == evaluated[1]["loss"].n


@pytest.mark.parametrize(("task", "kind"), [("instruction", "gpt2"), ("token_classification", "bert")])
def test_labelled_tokens_are_looked_for_before_a_batch_goes_to_its_device(task: str, kind: str) -> None:
    config = config_for("full", kind)
    module = module_for(config, task_for_model(config, task_named(task)), steps=1).eval()
    batch = batch_for(module.task)
    found = module.on_before_batch_transfer(batch, 0)
    assert module.on_before_batch_transfer([batch, batch], 0)[1].keys() == found.keys()
    assert torch.equal(module.loss(found), module.loss(batch))
    rows, columns = found["labelled"]
    assert bool((module.targets(batch)[rows, columns] != IGNORE_INDEX).all())
    assert len(rows) == int((module.targets(batch) != IGNORE_INDEX).sum())
    found["labelled"] = found["labelled"][:, :3]  # it is what is in the batch that counts
    assert not torch.equal(module.loss(found), module.loss(batch))


@pytest.mark.parametrize("logits", ["labelled", "chunks"])
def test_a_scaled_loss_has_a_scaled_gradient(logits: Logits) -> None:
    """As a share of a step, and as a scaler of gradients, have it."""
    torch.manual_seed(0)
    layer, hidden, targets = nn.Linear(6, 11), torch.randn(13, 6, requires_grad=True), torch.randint(0, 11, (13,))
    asked = [hidden, *layer.parameters()]
    expected = torch.autograd.grad(0.3 * F.cross_entropy(layer(hidden), targets), asked)
    found = torch.autograd.grad(0.3 * token_losses.mean_loss(layer, hidden, targets, 4), asked)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_frozen_trunk_gets_no_gradient_and_a_frozen_layer_neither() -> None:
    layer, hidden, targets = nn.Linear(6, 11), torch.randn(13, 6), torch.randint(0, 11, (13,))
    token_losses.mean_loss(layer, hidden, targets, 4).backward()
    assert hidden.grad is None
    assert layer.weight.grad is not None
    layer.requires_grad_(False)
    assert not token_losses.mean_loss(layer, hidden, targets, 4).requires_grad


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("method", ["lora", "prompt", "prefix"])
def test_models_whose_output_layer_comes_last_are_known(method: str, kind: str) -> None:
    config = config_for(method, kind)
    tuning, model = applied(config, task_for_model(config, task_named("instruction")))
    assert token_losses.choose_logits("auto", tuning.forward, model, output_layer_callable=True) == "chunks"
    assert token_losses.choose_logits("auto", tuning.forward, model, output_layer_callable=False) == "labelled"
    assert token_losses.choose_logits("all", tuning.forward, model, output_layer_callable=True) == "all"
    with refused(UserError, "speed.logits=chunks", "speed.logits=auto"):
        token_losses.choose_logits("chunks", tuning.forward, model, output_layer_callable=False)

    def capped(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return tuning.forward(model, batch).tanh()  # as Gemma 2 caps its logits

    assert token_losses.choose_logits("auto", capped, model, output_layer_callable=True) == "labelled"


def test_masked_tokens_are_scored_alone_too() -> None:
    config = config_for("full", "masked")
    losses = []
    for logits in ("all", "labelled", "chunks"):
        method, model = applied(config, MASKED_LM)
        module = tasks.build_task(
            MASKED_LM, model, method, optimizer_factory(config.optim, total_steps=1), logits=logits
        )
        losses.append(module.eval().loss(batch_for(MASKED_LM)).item())
    assert losses[1:] == pytest.approx([losses[0]] * 2, rel=1e-5)
