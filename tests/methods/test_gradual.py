"""Layers thaw from the top, each at its own rate, and nothing moves before its time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from ftlab import methods, tasks
from ftlab.core.errors import ConfigError
from ftlab.methods.base import trainable_names
from ftlab.methods.gradual import layers_from_top, lowest_layer
from ftlab.record import find_records
from ftlab.train.callbacks.training_check import TrainingCheck
from ftlab.train.optim import optimizer_factory
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for
from tests.fixtures.refusals import refused
from tests.training import applied, batch_for, config_for, task_for_model, task_named

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:The dirpath has changed")

LAYERS = 4  # of a tiny BERT: head, two blocks, embeddings
THAWING = ("method.until=0.75",)  # of eight steps: layers thaw in the first six
Weights = dict[str, torch.Tensor]


def test_the_layers_thaw_evenly() -> None:
    lowest = [lowest_layer(step, steps=12, until=0.5, layers=4) for step in range(12)]
    assert lowest == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize("until", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("layers", [1, 2, 8, 26])
def test_runs_of_every_length_reach_the_last_layer_and_never_go_back(layers: int, until: float) -> None:
    for steps in range(1, 60):
        lowest = [lowest_layer(step, steps=steps, until=until, layers=layers) for step in range(steps)]
        assert lowest == sorted(lowest)
        assert lowest[-1] == layers - 1
        assert lowest[0] == 0 or round(until * steps) == 0 or steps == 1


@pytest.mark.parametrize(
    ("kind", "task_name", "count", "places"),
    [
        ("bert", "classification", 4, {"classifier.weight": 0, "bert.pooler.dense.bias": 0, "bert.encoder.layer.1": 1}),
        ("gpt2", "instruction", 4, {"transformer.wte.weight": 0, "transformer.ln_f.bias": 0, "transformer.wpe": 3}),
        ("llama", "classification", 4, {"score.weight": 0, "model.norm.weight": 0, "model.embed_tokens.weight": 3}),
        ("llama", "instruction", 3, {"model.embed_tokens.weight": 0, "model.layers.1": 1, "model.layers.0": 2}),
        (
            "t5",
            "classification",
            6,
            {
                "classification_head": 0,
                "transformer.decoder.final_layer_norm": 0,
                "transformer.decoder.block.0": 2,
                "transformer.encoder.final_layer_norm": 3,
                "transformer.encoder.block.1": 3,
                "transformer.shared.weight": 5,
            },
        ),
        ("t5", "instruction", 5, {"shared.weight": 0, "decoder.block.1": 1, "encoder.block.0": 4}),
    ],
)
def test_every_parameter_has_its_layer(kind: str, task_name: str, count: int, places: dict[str, int]) -> None:
    config = config_for("gradual", kind)
    _, model = applied(config, task_for_model(config, task_named(task_name)))
    layers = layers_from_top(model)
    assert len(layers) == count
    assert sorted(name for layer in layers for name in layer) == sorted(name for name, _ in model.named_parameters())
    for start, depth in places.items():
        found = [number for number, layer in enumerate(layers) for name in layer if name.startswith(start)]
        assert found, start
        assert set(found) == {depth}, start


def test_rates_fall_from_layer_to_layer() -> None:
    config = config_for("gradual", "bert", "method.decay=0.5", "optim.lr=0.8", "optim.weight_decay=0.1")
    method, model = applied(config, task_named("classification"))
    optimizer, _ = optimizer_factory(config.optim, total_steps=10)(method.param_groups(model))
    rates = {id(one): group["initial_lr"] for group in optimizer.param_groups for one in group["params"]}
    parameters = dict(model.named_parameters())
    assert {id(one) for one in parameters.values()} == set(rates)
    for depth, names in enumerate(layers_from_top(model)):
        assert [rates[id(parameters[name])] for name in names] == pytest.approx([0.8 * 0.5**depth] * len(names))
    for group in optimizer.param_groups:
        assert {one.ndim > 1 for one in group["params"]} == {group["weight_decay"] == 0.1}


class _Watch(Callback):
    """Notes the weights and the lowest layer with a gradient, after each optimizer step."""

    def __init__(self) -> None:
        self.weights: list[Weights] = []
        self.trained: list[set[str]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.trained.append({name for name, one in pl_module.model.named_parameters() if one.grad is not None})
        self.weights.append({name: one.detach().clone() for name, one in pl_module.model.named_parameters()})


def _trained(
    tmp_path: Path, folder: str, *overrides: str, steps: int, checkpoint: Path | None = None, save: int | None = None
) -> tuple[_Watch, Weights, dict[str, Any]]:
    """Train two micro-batches a step and one step an epoch: Lightning resumes plain loaders between epochs only.

    Returns what was watched, the trained weights and the checks.
    """
    config = config_for("gradual", "bert", "optim.warmup=0", "optim.schedule=constant", *overrides)
    task = task_named("classification")
    method, model = applied(config, task)
    module = tasks.build_task(task, model, method, optimizer_factory(config.optim, total_steps=steps))
    assert method.find_unused_parameters
    seed_everything(3 if checkpoint is None else 4, verbose=False)
    watch, check = _Watch(), TrainingCheck(module.trainable)
    saving = (
        [] if save is None else [ModelCheckpoint(tmp_path / folder, "{step}", every_n_train_steps=save, save_top_k=-1)]
    )
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=steps,
        accumulate_grad_batches=2,
        logger=False,
        enable_checkpointing=save is not None,
        callbacks=[check, *method.callbacks(), watch, *saving],
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    batches = [batch_for(task, seed=seed) for seed in range(2)]
    loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # its seeds are not dropout's
    trainer.fit(module, loader, loader, ckpt_path=checkpoint, weights_only=True)
    assert trainable_names(model) == module.trainable  # nothing stays frozen
    weights = {name: one.detach() for name, one in model.named_parameters()}
    return watch, weights, check.record_fields(trainer)["checks"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, _Watch, Weights]:
    """Train eight steps with a checkpoint after each."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    watch, weights, _ = _trained(folder, "whole", *THAWING, steps=8, save=1)
    return folder, watch, weights


@pytest.mark.parametrize("optim", ["adamw", "sgd", "adafactor"])
def test_nothing_moves_before_its_time(optim: str, tmp_path: Path) -> None:
    """Neither by momentum nor by weight decay, and all micro-batches of a step train the same layers."""
    settings = (f"optim={optim}", "optim.lr=1e-2", "optim.weight_decay=0.5", "method.until=0.75")
    watch, weights, checks = _trained(tmp_path, "run", *settings, steps=8)
    config = config_for("gradual", "bert")
    layers = layers_from_top(applied(config, task_named("classification"))[1])
    assert len(layers) == LAYERS
    first, after = watch.weights[0], [*watch.weights[1:], weights]
    for step, trained in enumerate(watch.trained):
        lowest = [0, 0, 1, 1, 2, 2, 3, 3][step]
        assert trained == {name for layer in layers[: lowest + 1] for name in layer}
        for name in {name for layer in layers[lowest + 1 :] for name in layer}:
            assert torch.equal(after[step][name], first[name]), (step, name)
        for name in layers[lowest]:
            assert not torch.equal(after[step][name], watch.weights[step][name]), (step, name)
    assert {name: check.status for name, check in checks.items()} == {
        "gradients": "passed",
        "frozen_unchanged": "passed",
    }


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs_train_everything(steps: int, tmp_path: Path) -> None:
    watch, weights, checks = _trained(tmp_path, "run", steps=steps)
    assert watch.trained[-1] == set(weights)
    assert checks["gradients"].status == "passed"


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_run_resumed_while_layers_thaw_is_the_uninterrupted_one(
    step: int, uninterrupted: tuple[Path, _Watch, Weights], tmp_path: Path
) -> None:
    folder, watch, weights = uninterrupted
    middle = folder / "whole" / f"step={step}.ckpt"
    rest, resumed, _ = _trained(tmp_path, "resumed", *THAWING, steps=8, save=1, checkpoint=middle)
    assert rest.trained == watch.trained[step:]
    assert not [name for name in weights if not torch.equal(weights[name], resumed[name])]


@pytest.mark.parametrize(
    ("setting", "culprits"),
    [
        ("decay=0", ("method.decay=0", "1")),
        ("decay=1.1", ("method.decay=1.1", "1")),
        ("until=2", ("method.until=2", "0", "1")),
        ("until=half", ("method.until='half'", "0", "1")),
    ],
)
def test_rates_that_cannot_be(setting: str, culprits: tuple[str, ...]) -> None:
    with refused(ConfigError, *culprits):
        methods.build_method(composed("method=gradual", f"method.{setting}").method)


@pytest.mark.slow
def test_two_processes_thaw_together(tmp_path: Path) -> None:
    """What thaws after the model was wrapped is synchronised too: two ranks learn what one process does."""
    root = Path(__file__).parents[2]
    settings = [
        "model=hf",
        f"model.name={tiny('bert')}",
        "model.dropout=0.0",
        "dataset=text_files",
        f"dataset.source.train={rows_for('text_files')}",
        "method=gradual",
        "optim.lr=1e-2",
        "budget=smoke",
        "budget.steps=10",
        "tracker=none",
    ]
    alone = run(composed(*settings, "hardware=cpu"), tmp_path / "cpu", [])
    command = [sys.executable, str(root / "train.py"), *settings, "hardware=ddp_cpu", "sweep.dir=ddp_cpu"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    ((_, together),) = find_records(tmp_path / "ddp_cpu")
    losses = []
    for record, devices in ((alone, 1), (together, 2)):
        assert record.hardware.devices == devices
        assert {check.status for check in record.checks.values()} == {"passed"}
        losses.append(record.metrics["classification"]["test"]["loss"].value)
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
