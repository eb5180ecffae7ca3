"""A last block that is worked out for the first token alone says what the whole one says, forwards and backwards."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import RobertaConfig, RobertaForSequenceClassification

from ftlab.core.batch import model_inputs
from ftlab.models.cls_only_block import ClsOnlyBlock, find_cls_only_block
from ftlab.models.frozen_prefix import Forward, Inputs
from tests.training import applied, batch_for, config_for, task_for_model, task_named

METHODS = ["full", "bitfit", "partial", "head", "lora", "dora", "ia3", "adapter", "prefix", "prompt", "p_tuning_v2"]


def made(method: str, kind: str, task: str = "classification", *overrides: str) -> tuple[Any, nn.Module]:
    config = config_for(method, kind, "model.dropout=0.0", *overrides)
    return applied(config, task_for_model(config, task_named(task)))


def tried(method: str, kind: str, task: str = "classification", *overrides: str) -> ClsOnlyBlock | None:
    tuning, model = made(method, kind, task, *overrides)
    return found(model, tuning.forward, model_inputs(batch_for(task_named(task))))


def found(model: nn.Module, forward: Forward, batch: Inputs) -> ClsOnlyBlock | None:
    last = find_cls_only_block(model)
    return last if last is not None and last.only_cls_is_read(model, forward, batch) else None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["classification", pytest.param("regression", marks=pytest.mark.slow)])
def test_logits_and_gradients_are_those_of_the_whole_block(method: str, task: str) -> None:
    tuning, model = made(method, "bert", task)
    with torch.no_grad():
        for weight in model.parameters():  # factors and scales that begin at nothing would hide what is left out
            weight.add_(torch.randn_like(weight), alpha=0.02)
    batch = model_inputs(batch_for(task_named(task)))
    last = found(model, tuning.forward, batch)
    assert last is not None
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # adapters have some of their own
    plain = tuning.forward(model, batch)
    expected = gradients(model, plain)
    with last.cls_only():
        short = tuning.forward(model, batch)
        shorter = gradients(model, short)
    torch.testing.assert_close(short, plain, rtol=1e-4, atol=1e-5)
    assert shorter.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(shorter[name], gradient, rtol=1e-3, atol=1e-5, msg=name)
    torch.testing.assert_close(tuning.forward(model, batch), plain, rtol=0, atol=0)  # as it was


def gradients(model: nn.Module, logits: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def test_the_block_returns_one_token() -> None:
    tuning, model = made("full", "bert")
    batch = model_inputs(batch_for(task_named("classification")))
    last, widths = found(model, tuning.forward, batch), []
    assert last is not None
    last.block.register_forward_hook(lambda module, given, output: widths.append(output.shape[1]))
    with last.cls_only():
        tuning.forward(model, batch)
    tuning.forward(model, batch)
    assert widths == [1, batch["input_ids"].shape[1]]


def test_a_model_in_training_mode_stays_in_it() -> None:
    tuning, model = made("full", "bert")
    before = torch.get_rng_state()
    found(model.train(), tuning.forward, model_inputs(batch_for(task_named("classification"))))
    assert all(module.training for module in model.modules())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("method", "kind", "task"),
    [
        ("full", "bert", "token_classification"),  # every token is read
        ("full", "gpt2", "classification"),  # the last token is
        ("full", "t5", "classification"),
    ],
)
def test_other_models_are_left_alone(method: str, kind: str, task: str) -> None:
    assert tried(method, kind, task) is None


def test_a_head_that_reads_all_tokens_is_left_alone() -> None:
    class Mean(nn.Module):
        def __init__(self, head: nn.Module) -> None:
            super().__init__()
            self.head = head

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return self.head(states.mean(1, keepdim=True))  # type: ignore[no-any-return]

    tuning, model = made("full", "bert")
    batch = model_inputs(batch_for(task_named("classification")))
    assert found(model, tuning.forward, batch) is not None
    inner: Any = model
    inner.bert.pooler = Mean(inner.bert.pooler)
    assert found(model, tuning.forward, batch) is None


@pytest.mark.parametrize(("attention", "taken"), [("sdpa", True), ("eager", False)])
def test_layouts_like_berts_are_taken_where_the_attention_is_sdpa(attention: str, taken: bool) -> None:
    config = RobertaConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, num_labels=3
    )
    config._attn_implementation = attention
    model = RobertaForSequenceClassification(config)
    batch = model_inputs(batch_for(task_named("classification")))
    assert (found(model, lambda model, inputs: model(**inputs).logits, batch) is not None) == taken
