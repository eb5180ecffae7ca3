"""Learning rate, gradient norm, throughput and epoch are logged with the loss of each step."""

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from ftlab.tasks.base import TaskModule
from ftlab.train.callbacks.step_metrics import StepMetrics, learning_rates
from tests.train.callback_runs import run_tiny


def columns(folder: Path) -> dict[str, list[float]]:
    """Return the values of each column of metrics.csv, without empty cells."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


def test_each_step_has_its_rate_norm_throughput_and_epoch(tmp_path: Path) -> None:
    """20 rows in steps of 8: an epoch is two and a half steps, and three of them are eight steps."""
    settings = ("optim.schedule=linear", "optim.warmup=0", "optim.lr=8e-3", "optim.grad_clip=1e-9")
    logged = columns_of_run(tmp_path, "full", *settings)
    assert logged["train/lr"] == pytest.approx([step * 1e-3 for step in range(8, 0, -1)])
    assert len(logged["train/grad_norm"]) == 8
    assert min(logged["train/grad_norm"]) > 1e-4, "before clipping"
    assert len(logged["train/tokens_per_s"]) == len(logged["train/examples_per_s"]) == len(logged["train/loss"]) == 8
    assert min(logged["train/examples_per_s"]) > 0
    epochs = [step * 8 / 20 for step in range(1, 9)]
    assert sorted(set(logged["epoch"])) == pytest.approx(epochs)
    assert logged["epoch"][-1] == pytest.approx(3.2), "also of the test"
    assert "train/lr_group_1" not in logged


def columns_of_run(folder: Path, method: str, *settings: str) -> dict[str, list[float]]:
    run_tiny("bert", method, folder, *settings)
    return columns(folder)


def test_the_norm_is_that_of_clipping_and_is_computed_without_it_too(tmp_path: Path) -> None:
    """Also in bf16, where Lightning itself clips for no fused optimizer."""
    still = ("optim.lr=1e-9", "model.dropout=0")
    clipped = columns_of_run(tmp_path / "clipped", "full", "optim.grad_clip=1e-3", *still)
    unclipped = columns_of_run(tmp_path / "unclipped", "full", "optim.grad_clip=null", *still)
    half = ("hardware.precision=bf16-mixed", "speed.fused_adamw=true")
    in_bf16 = columns_of_run(tmp_path / "bf16", "full", "optim.grad_clip=1e-3", *half, *still)
    assert clipped["train/grad_norm"] == pytest.approx(unclipped["train/grad_norm"], rel=1e-3)
    assert clipped["train/grad_norm"] == pytest.approx(in_bf16["train/grad_norm"], rel=0.1)


def test_gradients_are_clipped_for_a_fused_optimizer_too() -> None:
    """For which Lightning's bf16 refuses to."""
    weight = nn.Parameter(torch.zeros(4))
    weight.grad = torch.full((4,), 3.0)
    optimizer = torch.optim.AdamW([weight], fused=True)
    module: Any = SimpleNamespace(logs_step=False, grad_norm=None)
    TaskModule.configure_gradient_clipping(module, optimizer, None)
    assert (float(weight.grad.norm()), module.grad_norm) == (6.0, None)
    TaskModule.configure_gradient_clipping(module, optimizer, 0.5)
    assert (float(weight.grad.norm()), float(module.grad_norm)) == (pytest.approx(0.5), 6.0)


def optimizer_of(*rates: float) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], lr=0.1)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    return optimizer


def test_groups_of_one_rate_are_one_curve_and_groups_of_several_are_several() -> None:
    assert learning_rates(optimizer_of(0.4, 0.4)) == {"train/lr": 0.2}
    several = {"train/lr": 0.2, "train/lr_group_1": 0.1, "train/lr_group_2": 0.2}
    assert learning_rates(optimizer_of(0.2, 0.4, 0.2)) == several


def test_throughput_is_that_since_the_last_row_also_in_a_resumed_run() -> None:
    meter: Any = SimpleNamespace(examples=100, tokens=1000, net_train_s=50.0)  # of earlier attempts
    trainer: Any = SimpleNamespace(
        global_step=12,
        accumulate_grad_batches=2,
        log_every_n_steps=4,
        should_stop=False,
        world_size=2,
    )
    logged: dict[str, float] = {}
    module: Any = SimpleNamespace(
        grad_norm=torch.tensor(3.0), log_dict=lambda values, **_: logged.update(values), log=logged.__setitem__
    )
    callback = StepMetrics(meter, batch_size=4, train_rows=16)
    callback.on_train_start(trainer, module)
    meter.examples, meter.tokens, meter.net_train_s = 108, 1200, 54.0
    callback.on_train_batch_end(trainer, module, None, None, 0)
    assert not logged, "in the middle of a step"
    callback.on_train_batch_end(trainer, module, None, None, 1)
    assert (logged["train/examples_per_s"], logged["train/tokens_per_s"], logged["epoch"]) == (4.0, 100.0, 3.0)
    logged.clear()
    trainer.global_step = 13
    callback.on_train_batch_end(trainer, module, None, None, 3)
    assert not logged, "Lightning writes no row of this step"
    trainer.should_stop = True
    meter.net_train_s = 55.0
    callback.on_train_batch_end(trainer, module, None, None, 3)
    assert logged["epoch"] == 3.25, "but of the last one"
