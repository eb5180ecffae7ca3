"""What every method must keep, for every method in conf/method: nothing is declared here but the models."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ftlab import tasks
from ftlab.artifacts import probe, save_adapter
from ftlab.methods.base import trainable_names
from ftlab.optim import optimizer_maker
from ftlab.paths import conf_dir
from tests.configs import composed
from tests.training import applied, batch_for, config_for, fresh_base, task_named

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
SETTINGS = [("bert", "classification"), ("gpt2", "instruction"), ("llama", "instruction"), ("llama", "classification")]


def test_there_are_methods() -> None:
    assert {"full", "partial", "head", "lora", "prefix"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_declares_what_it_is_held_to(name: str) -> None:
    config = composed(f"method={name}").method
    assert config.name == name
    assert config.expect["trains"]
    assert config.search["lr"]


@pytest.mark.parametrize(("kind", "task_name"), SETTINGS)
@pytest.mark.parametrize("name", METHODS)
def test_contract(name: str, kind: str, task_name: str, tmp_path: Path) -> None:
    task = task_named(task_name)
    given = composed(f"method={name}").method.expect.get("given", {})
    settings = [f"method.{key}={value}" for key, value in given.items()]
    config = config_for(name, kind, tmp_path, "optim.warmup=0", "optim.schedule=constant", *settings)
    method, model = applied(config, task)
    patterns = config.method.expect["trains"]
    patterns = patterns[task_name] if isinstance(patterns, dict) else patterns
    trains = trainable_names(model)

    # what is declared trains, and nothing else
    assert trains
    assert trains == [key for key, _ in model.named_parameters() if any(re.search(p, key) for p in patterns)]

    # the loss on one batch falls, every trainable tensor moves, no frozen one does
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    module = tasks.build(task, model, method, optimizer_maker(config.optim, total_steps=20))
    batch = batch_for(task)
    optimizer = module.configure_optimizers()["optimizer"]
    losses = []
    for _ in range(20):
        model.train()
        optimizer.zero_grad()
        loss = module.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    unused = {key for key in trains if "position_embeddings" in key or "wpe" in key} - moved
    assert moved | unused == set(trains)

    # what is saved, on a fresh base with another head: the same logits
    expected = probe(method, model, batch)
    assert save_adapter(method, model, tmp_path, trains) > 0
    restored = method.restore(fresh_base(config, task, seed=1), task, tmp_path / "adapter")
    assert torch.equal(probe(method, restored, batch), expected)

    # and it holds nothing of the base
    (file,) = (tmp_path / "adapter").glob("*.safetensors")
    saved = sum(tensor.numel() for tensor in load_file(file).values())
    assert saved <= sum(value.numel() for key, value in model.named_parameters() if key in trains)


@pytest.mark.parametrize(("kind", "task_name"), SETTINGS)
@pytest.mark.parametrize("name", METHODS)
def test_padding_changes_no_logit(name: str, kind: str, task_name: str, tmp_path: Path) -> None:
    task = task_named(task_name)
    method, model = applied(config_for(name, kind, tmp_path), task)
    padded = {key: value[1:2] for key, value in batch_for(task).items()}
    bare = {key: value[:, :-2] if value.ndim == 2 else value for key, value in padded.items()}
    assert not padded["attention_mask"][:, -2:].any()
    torch.testing.assert_close(probe(method, model, padded), probe(method, model, bare))
