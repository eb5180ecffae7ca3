"""Frozen prefix: found by the gradients that are asked for; a model in two halves equals the model."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel, RobertaConfig, RobertaForSequenceClassification

from ftlab.core.batch import model_inputs
from ftlab.models.frozen_prefix import FrozenModules, FrozenPrefix, find_frozen_modules, split_frozen_prefix
from tests.training import applied, batch_for, config_for, task_for_model, task_named


def made(method: str, kind: str, task: str = "classification", *overrides: str) -> tuple[Any, nn.Module]:
    config = config_for(method, kind, *overrides)
    return applied(config, task_for_model(config, task_named(task)))


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_the_trunk_ends_where_something_trains(kind: str) -> None:
    def depth(method: str, task: str = "classification", *overrides: str) -> int | None:
        tuning, model = made(method, kind, task, *overrides)
        frozen = find_frozen_modules(model, tuning.forward)
        assert frozen is not None
        return len(frozen.cacheable)

    assert depth("partial") == 1  # of two blocks the last one trains
    assert depth("partial", "classification", "method.layers=[0]") == 0
    upper = "+method.config.layers_to_transform=[1]"
    assert depth("lora", "classification", upper) == 1
    whole = (
        ["lora", "prefix"]
        if kind != "bert"
        else ["lora", "prefix", "full", "gradual", "prompt", "adapter", "ln_tuning"]
    )
    for method in whole:
        assert depth(method) == 0, method
    if kind != "bert":  # a tied output layer is the embeddings too
        assert depth("head", "instruction") == 0
        assert depth("partial", "instruction") == 0
    tuning, model = made("head", kind)
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    assert frozen.cacheable == [model.base_model]


@pytest.mark.parametrize("method", ["head", "partial", "lora"])
def test_checkpointed_activations_do_not_draw_the_gradient_through_what_is_frozen(method: str) -> None:
    upper = ["+method.config.layers_to_transform=[1]"] if method == "lora" else []
    gradients = []
    for checkpointed in ("false", "true"):
        overrides = [*upper, f"model.gradient_checkpointing={checkpointed}", "model.dropout=0.0"]
        tuning, model = made(method, "bert", "classification", *overrides)
        frozen = find_frozen_modules(model, tuning.forward)
        assert frozen is not None
        assert frozen.cacheable
        logits = tuning.forward(model, model_inputs(batch_for(task_named("classification"))))
        gradients.append(gradient(model, logits))
        assert model.training
    torch.testing.assert_close(*gradients)
    assert gradients[0].norm() > 0


def test_what_has_no_trunk() -> None:
    tuning, model = made("head", "t5")
    assert (
        find_frozen_modules(model, tuning.forward) is None
    )  # what a decoder reads of its encoder goes past its blocks
    tuning, model = made("zero_shot", "gpt2", "instruction")
    assert find_frozen_modules(model, tuning.forward) is None


def test_dropout_goes_below_what_trains_and_nowhere_else() -> None:
    tuning, model = made("partial", "bert")
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    frozen.without_dropout()
    off = {name for name, module in model.named_modules() if isinstance(module, nn.Dropout) and not module.training}
    assert off == {
        "bert.embeddings.dropout",
        *(f"bert.encoder.layer.0.{part}.dropout" for part in ("attention.self", "attention.output", "output")),
    }
    tuning, model = made("lora", "bert")
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    frozen.without_dropout()
    off = {name for name, module in model.named_modules() if isinstance(module, nn.Dropout) and not module.training}
    assert [name.rsplit("bert.")[-1] for name in off] == ["embeddings.dropout"]


def in_halves(method: str, kind: str, task: str) -> tuple[Any, nn.Module, FrozenPrefix, dict[str, torch.Tensor]]:
    tuning, model = made(method, kind, task, "model.frozen_dropout=false")
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    model.train()
    frozen.without_dropout()
    batch = batch_for(task_for_model(config_for(method, kind), task_named(task)), tokens=11)
    frozen_prefix = split_frozen_prefix(model, frozen, model_inputs(batch))
    assert isinstance(frozen_prefix, FrozenPrefix), frozen_prefix
    return tuning, model, frozen_prefix, batch


def gradient(model: nn.Module, logits: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    torch.nn.functional.cross_entropy(logits.flatten(0, -2), torch.arange(len(logits.flatten(0, -2))) % 2).backward()
    return torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("method", ["head", "partial"])
@pytest.mark.parametrize("task", ["classification", "token_classification"])
def test_the_halves_have_the_logits_and_the_gradient_of_the_whole(method: str, kind: str, task: str) -> None:
    """To 1e-5 of it, with states from batches of other lengths, and dropout above the frozen_prefix."""
    _, model, frozen_prefix, batch = in_halves(method, kind, task)
    inputs, real = model_inputs(batch), batch["attention_mask"].bool()
    rows = frozen_prefix.compute_states({key: value[:1] for key, value in inputs.items()})
    rows += frozen_prefix.compute_states(
        {key: value[1:, :9] for key, value in inputs.items()}
    )  # the last two are padding
    found = []
    for forward in (lambda: model(**inputs), lambda: frozen_prefix.forward_from_states(inputs, rows)):
        torch.manual_seed(0)
        logits = forward().logits
        logits = logits if logits.ndim == 2 else logits[real]
        found.append((logits.detach(), gradient(model, logits)))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-6)
    assert float((found[1][1] - found[0][1]).norm()) < 1e-5 * float(found[0][1].norm())
    assert found[0][1].norm() > 0


def test_a_pooled_text_takes_the_room_of_a_token() -> None:
    assert not in_halves("head", "bert", "classification")[2].per_token
    assert in_halves("head", "bert", "token_classification")[2].per_token
    assert in_halves("head", "llama", "classification")[2].per_token


def test_a_model_that_counts_positions_from_its_padding() -> None:
    config = RobertaConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        pad_token_id=0,
        num_labels=3,
    )
    model = RobertaForSequenceClassification(config).train()
    model.base_model.requires_grad_(False)
    frozen = find_frozen_modules(model, lambda model, batch: model(**batch).logits)
    assert frozen is not None
    assert frozen.cacheable == [model.base_model]
    frozen.without_dropout()
    frozen_prefix = split_frozen_prefix(model, frozen, model_inputs(batch_for(task_named("classification"))))
    assert isinstance(frozen_prefix, FrozenPrefix)
    assert frozen_prefix.per_token  # its head reads the first token, and pools by itself


def refused(model: PreTrainedModel, frozen: FrozenModules, batch: dict[str, torch.Tensor]) -> str:
    frozen_prefix = split_frozen_prefix(model, frozen, batch)
    assert isinstance(frozen_prefix, str)
    return frozen_prefix


def test_what_is_not_the_same_each_time_is_refused() -> None:
    tuning, model = made("partial", "bert")
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    batch = model_inputs(batch_for(task_named("classification")))
    state, modes = torch.get_rng_state(), [module.training for module in model.modules()]
    assert "dropout" in refused(model, frozen, batch)
    assert torch.equal(state, torch.get_rng_state())
    assert modes == [module.training for module in model.modules()]
    frozen.without_dropout()
    assert isinstance(split_frozen_prefix(model, frozen, batch), FrozenPrefix)
    mixing = model.bert.encoder.layer[0].register_forward_hook(lambda _, __, output: output + output.mean(0))
    assert "rest of the batch" in refused(model, frozen, batch)
    mixing.remove()
    model.bert.encoder.layer[0].register_forward_hook(lambda _, __, output: (output, output))
    assert "unknown kind" in refused(model, frozen, batch)


def test_positions_that_padding_shifts_are_refused() -> None:
    """A model that numbers positions by place sees a text that is padded on the left further to the right."""
    tuning, model = made("partial", "gpt2")
    frozen = find_frozen_modules(model, tuning.forward)
    assert frozen is not None
    frozen.without_dropout()
    batch = model_inputs(batch_for(task_named("classification")))
    flipped = {key: value.flip(1) for key, value in batch.items()}
    assert "rest of the batch" in refused(model, frozen, flipped)
