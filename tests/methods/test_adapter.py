"""Bottleneck adapters: several on one base, and their files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from ftlab import methods
from ftlab.core.batch import Batch
from ftlab.core.errors import ConfigError, UserError
from ftlab.methods.adapter import (
    CONFIG_FILE,
    Adapter,
    Bottleneck,
    activate_adapter,
    adapters,
    add_adapter,
    load_adapter,
    save_adapter,
)
from ftlab.methods.base import WEIGHTS_FILE, trainable_names
from ftlab.models.adapter_slots import adapter_slots
from ftlab.train.artifacts import probe_logits
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.tiny import KINDS
from tests.training import applied, batch_for, config_for, fresh_base, task_for_model, task_named

TOPICS = ("war", "peace", "trade", "crime", "art")


def fresh(kind: str, task: str = "classification", *overrides: str) -> PreTrainedModel:
    config = config_for("adapter", kind, *overrides)
    return fresh_base(config, task_for_model(config, task_named(task))).model


def logits(model: nn.Module, batch: Batch | None = None) -> torch.Tensor:
    return probe_logits(Adapter(), model, batch or batch_for(task_named("classification")))


def train(model: PreTrainedModel, seed: int) -> None:
    """Three steps towards made-up labels."""
    batch = batch_for(task_named("classification"), seed=seed)
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-2)
    model.train()
    for _ in range(3):
        output = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        nn.functional.cross_entropy(output, (batch["labels"] + seed) % output.shape[-1]).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


@pytest.mark.parametrize(
    ("kind", "task"),
    [*((kind, "classification") for kind in KINDS), *((kind, "instruction") for kind in KINDS if kind != "bert")],
)
def test_untrained_it_changes_no_bit(kind: str, task: str) -> None:
    config = config_for("adapter", kind)
    asked = task_for_model(config, task_named(task))
    model, batch = fresh_base(config, asked).model, batch_for(asked)
    before = probe_logits(Adapter(), model, batch)
    add_adapter(model, Adapter())
    assert list(adapters(model)) == ["default"]
    assert torch.equal(probe_logits(Adapter(), model, batch), before)


@pytest.mark.parametrize(("method", "places"), [("adapter", 4), ("adapter_pfeiffer", 2)])
def test_placement_and_size(method: str, places: int) -> None:
    _, model = applied(config_for(method, "bert"), task_named("classification"))
    found = [module for module in model.modules() if isinstance(module, Bottleneck)]
    assert len(found) == places
    assert {tuple(module.down.weight.shape) for module in found} == {(2, 32)}  # 32 / 16
    assert {type(module.activation) for module in found} == {nn.GELU if method == "adapter" else nn.ReLU}


def test_size_wins_over_reduction() -> None:
    _, model = applied(config_for("adapter", "bert", "method.size=5"), task_named("classification"))
    assert {module.up.in_features for module in model.modules() if isinstance(module, Bottleneck)} == {5}


@pytest.mark.parametrize("kind", KINDS)
def test_two_tasks_share_one_base(kind: str) -> None:
    """Two adapters with heads of different sizes, trained in turn: each keeps its answers, and so does the base."""
    model = fresh(kind).eval()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    base = logits(model)

    add_adapter(model, Adapter(name="topic", labels=TOPICS))
    train(model, seed=1)
    topic = logits(model)
    assert topic.shape == (4, 5)
    add_adapter(model, Adapter(name="section", placement="feed_forward", size=3))
    assert torch.equal(logits(model), base)  # a new one starts from the base, not from the other
    train(model, seed=2)
    section = logits(model)
    assert section.shape == base.shape
    assert not torch.equal(section, base)

    activate_adapter(model, "topic")
    assert torch.equal(logits(model), topic)
    assert {name.split(".adapters.")[1].split(".")[0] for name in trainable_names(model)} == {"topic"}
    activate_adapter(model, None)
    assert torch.equal(logits(model), base)
    assert not trainable_names(model)
    activate_adapter(model, "section")
    assert torch.equal(logits(model), section)
    assert {name: adapter.labels for name, adapter in adapters(model).items()} == {
        "topic": TOPICS,
        "section": task_named("classification").labels,
    }
    for name, value in model.state_dict().items():
        if ".adapters." not in name:
            assert torch.equal(value, weights[name.replace(".base_layer.", ".")])


def test_saved_adapters_meet_on_a_fresh_base(tmp_path: Path) -> None:
    model = fresh("bert").eval()
    expected = {}
    for seed, name in enumerate(("topic", "section")):
        add_adapter(model, Adapter(name=name, labels=TOPICS if name == "topic" else ()))
        train(model, seed)
        expected[name] = logits(model)
    for name in expected:
        save_adapter(model, name, tmp_path / name)  # also while another one is active

    other = fresh("bert").eval()
    for name in expected:
        load_adapter(other, tmp_path / name, name=f"{name}_again")
        assert torch.equal(logits(other), expected[name])
    activate_adapter(other, "topic_again")
    assert torch.equal(logits(other), expected["topic"])
    assert adapters(other)["topic_again"].labels == TOPICS


def test_the_folder_of_a_run_loads_without_it(tmp_path: Path) -> None:
    method, model = applied(config_for("adapter_pfeiffer", "bert"), task_named("classification"))
    train(model, seed=0)
    method.export(model, tmp_path / "out", trainable_names(model))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {WEIGHTS_FILE, CONFIG_FILE}
    plain = fresh("bert")
    load_adapter(plain, tmp_path / "out")
    assert torch.equal(logits(plain), logits(model))
    assert adapters(plain)["default"].activation == "relu"


@pytest.mark.parametrize(
    ("kind", "task", "overrides"),
    [
        ("bert", "classification", ["quant=nf4"]),
        ("gpt2", "instruction", ["quant=int8"]),
        ("llama", "instruction", ["quant=nf4", "model.dtype=bfloat16"]),
        ("t5", "instruction", ["quant=nf4"]),
        ("t5", "instruction", ["quant=int8"]),
        ("t5", "instruction", ["model.dtype=bfloat16"]),
        ("llama", "classification", ["model.gradient_checkpointing=true"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else value,
)
def test_on_other_bases(kind: str, task: str, overrides: list[str]) -> None:
    """Quantised, in bf16, with checkpoints of activations: the bottlenecks compute in fp32, and learn."""
    config = config_for("adapter", kind, *overrides)
    asked = task_for_model(config, task_named(task))
    base, batch = fresh_base(config, asked), batch_for(asked)
    method = methods.build_method(config.method)
    before = probe_logits(method, base.model, batch)
    model = method.apply(base, asked)
    assert torch.equal(probe_logits(method, model, batch), before)
    assert {module.up.weight.dtype for module in model.modules() if isinstance(module, Bottleneck)} == {torch.float32}
    inputs = {key: value for key, value in batch.items() if key not in ("index", "labels")}
    method.forward(model.train(), inputs).float().square().mean().backward()
    ups = {name: value.grad for name, value in model.named_parameters() if name.endswith(".up.weight")}
    assert ups
    assert not [name for name, gradient in ups.items() if gradient is None or not gradient.any()]
    activate_adapter(model, None)
    assert torch.equal(probe_logits(method, model, batch), before)


@pytest.mark.parametrize(
    ("kind", "task", "count", "first"),
    [
        ("llama", "classification", 32, "model.layers.0.mlp.down_proj.down.bias"),
        ("bert-wide", "classification", 12, "bert.encoder.layer.0.attention.output.dense.down.bias"),
        ("gpt2", "instruction", 1, "score.weight"),
    ],
)
def test_another_model_is_refused_and_left_alone(kind: str, task: str, count: int, first: str, tmp_path: Path) -> None:
    source = "bert" if kind.startswith("bert") else "gpt2"
    model = fresh(source)
    add_adapter(model, Adapter())
    save_adapter(model, "default", tmp_path / "out")
    if kind == "bert-wide":
        file = tmp_path / "out" / CONFIG_FILE
        file.write_text(file.read_text().replace('"size": null', '"size": 4'))  # as of a wider model
    other = fresh(source if kind == "bert-wide" else kind, task)
    with refused(UserError, tmp_path / "out", type(other).__name__, count, first):
        load_adapter(other, tmp_path / "out")
    assert not adapter_slots(other)


def test_a_name_is_given_once_and_must_be_known(tmp_path: Path) -> None:
    model = fresh("bert")
    add_adapter(model, Adapter(name="topic"))
    with refused(UserError, "'topic'"):
        add_adapter(model, Adapter(name="topic"))
    with refused(UserError, "'topik'", "topic"):
        activate_adapter(model, "topik")
    with refused(UserError, "'section'", "topic"):
        save_adapter(model, "section", tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "culprits"),
    [
        ({"reduction": "many"}, ("method.reduction='many'",)),
        ({"activation": "tanh"}, ("method.activation=tanh", "gelu", "relu")),
        ({"labels": [1]}, ("labels=[1]",)),
        ({"depth": 3}, ("activation, base_model",)),
        (None, (CONFIG_FILE,)),
    ],
)
def test_a_broken_description_is_refused(
    change: dict[str, Any] | None, culprits: tuple[str, ...], tmp_path: Path
) -> None:
    model = fresh("bert")
    add_adapter(model, Adapter())
    save_adapter(model, "default", tmp_path)
    values = json.loads((tmp_path / CONFIG_FILE).read_text())
    (tmp_path / CONFIG_FILE).write_text("[" if change is None else json.dumps({**values, **change}))
    with refused(UserError, tmp_path / CONFIG_FILE, *culprits):
        load_adapter(fresh("bert"), tmp_path)


def test_missing_or_broken_weights_are_refused(tmp_path: Path) -> None:
    model = fresh("bert")
    add_adapter(model, Adapter())
    save_adapter(model, "default", tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"no tensors")
    with refused(UserError, tmp_path / WEIGHTS_FILE):
        load_adapter(fresh("bert"), tmp_path)


@pytest.mark.parametrize(
    ("setting", "culprits"),
    [
        ("placement=attention", ("method.placement=attention", "feed_forward")),
        ("activation=swish", ("method.activation=swish", "gelu", "relu")),
        ("reduction=0", ("method.reduction=0", "1")),
        ("reduction=1.5", ("method.reduction=1.5", "1")),
        ("size=true", ("method.size=True", "1")),
        ("dropout=1", ("method.dropout=1", "0")),
        ("dropout=no", ("method.dropout='no'", "0")),
    ],
)
def test_settings_are_checked(setting: str, culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        methods.build_method(composed("method=adapter", f"method.{setting}").method)


@pytest.mark.parametrize("name", ["", "a.b", "keys", "training"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with refused(ConfigError, repr(name)):
        Adapter(name=name)


def test_a_reduction_that_leaves_nothing_is_refused() -> None:
    with refused(UserError, "method.reduction=64", "32", "method.size"):
        applied(config_for("adapter", "bert", "method.reduction=64"), task_named("classification"))
