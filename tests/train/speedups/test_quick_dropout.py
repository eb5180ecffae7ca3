"""Quickly drawn dropout drops at its rate, independently, and is back to PyTorch's when it is over."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ftlab.core.batch import model_inputs
from ftlab.train.speedups import quick_dropout as quick_dropout_module
from ftlab.train.speedups.quick_dropout import dropout_16bit, quick_dropout
from tests.training import applied, batch_for, config_for, task_for_model, task_named

SPARE = 5.0  # standard errors
PASSES, COPIES = 6, 300  # of the same examples, in one batch: each is dropped from independently


@given(rate=st.floats(0.001, 0.999), size=st.integers(1, 70_001), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_the_rate_and_the_scale_are_those_asked_for(rate: float, size: int, seed: int) -> None:
    torch.manual_seed(seed)
    found = dropout_16bit(torch.ones(size), rate)
    kept = found[found != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - rate)), rtol=2**-16 / (1 - rate), atol=0)
    error = (rate * (1 - rate) / size) ** 0.5
    assert abs(kept.numel() / size - (1 - rate)) <= SPARE * error + 1 / size + 2**-17


def test_each_value_of_16_bits_is_as_likely() -> None:
    torch.manual_seed(0)
    size = 400_000
    shares = [float((dropout_16bit(torch.ones(size), step / 16) != 0).float().mean()) for step in range(1, 16)]
    for step, share in enumerate(shares, start=1):
        rate = step / 16
        assert abs(share - (1 - rate)) < SPARE * (rate * (1 - rate) / size) ** 0.5


@pytest.mark.parametrize("apart", [1, 2, 3, 4, 8])
def test_elements_are_dropped_independently_of_their_neighbours(apart: int) -> None:
    torch.manual_seed(1)
    kept = (dropout_16bit(torch.ones(400_000), 0.3) != 0).double() - 0.7
    correlation = float((kept[:-apart] * kept[apart:]).mean()) / 0.21
    assert abs(correlation) < SPARE / 400_000**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gradient_goes_where_the_states_went(dtype: torch.dtype) -> None:
    states = torch.rand(7, 5, 3, dtype=dtype).add(1).transpose(0, 2).requires_grad_()
    found = dropout_16bit(states, 0.25)
    assert (found.dtype, found.shape) == (dtype, states.shape)
    found.sum().backward()
    assert states.grad is not None
    torch.testing.assert_close(states.grad, found.detach() / states.detach(), rtol=1e-2, atol=0)
    assert 0 < int((found == 0).sum()) < found.numel()


def test_a_seed_decides() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return dropout_16bit(torch.ones(1000), 0.5)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1.0])
def test_rates_that_nothing_is_to_be_drawn_for(rate: float) -> None:
    torch.testing.assert_close(dropout_16bit(torch.ones(100), rate), torch.full((100,), float(rate < 1)))


@pytest.mark.parametrize("asked", ["none", "bool", "float", "causal"])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_attention_is_that_of_sdpa_but_for_what_is_dropped(
    asked: str, scaling: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    states = [torch.randn(2, 3, 6, 4, requires_grad=True) for _ in range(3)]
    allowed = torch.rand(2, 1, 6, 6) > 0.4
    allowed[..., 0] = True
    mask = {"bool": allowed, "float": torch.zeros(2, 1, 6, 6).masked_fill(~allowed, torch.finfo(torch.float32).min)}
    told = {"attention_mask": mask.get(asked), "scaling": scaling, "is_causal": asked == "causal"}
    plain, _ = sdpa_attention_forward(nn.Module(), *states, **told, dropout=0.0)
    expected = torch.autograd.grad(plain.square().sum(), states)
    monkeypatch.setattr(quick_dropout_module, "dropout_16bit", lambda weights, rate: weights)
    found, weights = quick_dropout_module._attend(nn.Module(), *states, **told, dropout=0.1)
    assert weights is None
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(torch.autograd.grad(found.square().sum(), states), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_a_model_says_the_same_on_average_and_strays_as_far(kind: str) -> None:
    config = config_for("lora", kind, "method.config.lora_dropout=0.1", "model.dropout=0.1")
    method, model = applied(config, task_for_model(config, task_named("classification")))
    batch = model_inputs(batch_for(task_named("classification")))
    many = {key: value.repeat(COPIES, *[1] * (value.ndim - 1)) for key, value in batch.items()}
    draws = PASSES * COPIES

    def logits() -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([method.forward(model, many) for _ in range(PASSES)]).view(draws, -1).double()

    model.train()
    torch.manual_seed(0)
    plain, before = logits(), {name: module.__dict__.get("forward") for name, module in model.named_modules()}
    with quick_dropout(model):
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is not sdpa_attention_forward
        quick = logits()
        model.eval()
        still = method.forward(model, batch)
    torch.testing.assert_close(still, method.forward(model, batch), rtol=0, atol=0)
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is sdpa_attention_forward
    assert {name: module.__dict__.get("forward") for name, module in model.named_modules()} == before
    assert quick.std(0).min() > 0
    error = ((plain.var(0) + quick.var(0)) / draws).sqrt()
    assert ((plain.mean(0) - quick.mean(0)).abs() < SPARE * error).all()
    ratio = quick.std(0) / plain.std(0)
    assert ((ratio - 1).abs() < SPARE / draws**0.5).all()  # a standard deviation's own error is 1 / sqrt(2 n) of it


def test_attention_drops_its_weights() -> None:
    config = config_for("full", "bert", "model.dropout=0.0")
    _, model = applied(config, task_for_model(config, task_named("classification")))
    attention = next(module for name, module in model.named_modules() if name.endswith("attention.self"))
    attention.dropout.p = 0.5
    states = torch.randn(2, 6, model.config.hidden_size)
    model.train()
    with quick_dropout(model):
        first, second = attention(states)[0], attention(states)[0]
    assert not torch.allclose(first, second)
