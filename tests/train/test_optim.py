"""Optimizers and schedules by name."""

import pytest
import torch

from ftlab.core.errors import UserError
from ftlab.models.devices import Devices
from ftlab.train.optim import optimizer_factory, use_fused_adamw
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused


def _rates(*overrides: str, steps: int = 10) -> list[float]:
    """Return the learning rate of each step."""
    weight = torch.nn.Parameter(torch.ones(2, 2))
    optimizer, schedule = optimizer_factory(composed(*overrides).optim, total_steps=steps)([{"params": [weight]}])
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        schedule.step()
    return rates


def test_linear_rises_and_falls_to_zero() -> None:
    rates = _rates("optim.lr=1.0", "optim.warmup=0.2")
    assert rates == pytest.approx([0, 0.5, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])


def test_cosine_is_half_way_down_in_the_middle() -> None:
    assert _rates("optim.lr=1.0", "optim.warmup=0", "optim.schedule=cosine")[5] == pytest.approx(0.5)


def test_constant_stays_after_the_warmup() -> None:
    assert _rates("optim.lr=1.0", "optim.warmup=0.2", "optim.schedule=constant")[2:] == [1.0] * 8


def test_a_group_keeps_its_own_settings() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    make = optimizer_factory(composed("optim.lr=1.0", "optim.weight_decay=0.1").optim, total_steps=1)
    optimizer, _ = make([{"params": [weight], "weight_decay": 0.0, "lr": 0.5}])
    assert optimizer.param_groups[0]["weight_decay"] == 0.0
    assert optimizer.param_groups[0]["initial_lr"] == 0.5


@pytest.mark.parametrize("name", ["adamw", "sgd", "adafactor"])
def test_a_relative_rate_follows_the_runs(name: str) -> None:
    upper, lower = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    make = optimizer_factory(composed(f"optim={name}", "optim.lr=0.4", "optim.warmup=0.5").optim, total_steps=4)
    optimizer, schedule = make([{"params": [upper]}, {"params": [lower], "lr_scale": 0.25}])
    rates = []
    for _ in range(4):
        rates.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        schedule.step()
    assert rates == [pytest.approx(pair) for pair in [(0, 0), (0.2, 0.05), (0.4, 0.1), (0.2, 0.05)]]


def test_eight_bit_states_wherever_bitsandbytes_has_them() -> None:
    """The CPU too, since 0.49; states of small parameters have 32 bits, as its authors recommend."""
    large, small = torch.nn.Parameter(torch.ones(64, 64)), torch.nn.Parameter(torch.ones(4095))
    make = optimizer_factory(composed("optim=adamw_8bit", "optim.lr=0.1").optim, total_steps=4)
    optimizer, _ = make([{"params": [large, small]}])
    for parameter in (large, small):
        parameter.grad = torch.ones_like(parameter)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    optimizer.step()
    assert optimizer.state[large]["state1"].dtype == torch.uint8
    assert optimizer.state[small]["state1"].dtype == torch.float32
    assert (large < 1).all()


@pytest.mark.parametrize("step", ["fails", "does nothing"])
def test_eight_bit_states_are_refused_where_a_step_does_not_work(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object) -> None:
        if step == "fails":
            raise NotImplementedError("no such kernel")

    monkeypatch.setattr("bitsandbytes.optim.AdamW8bit.step", broken)
    with refused(UserError, "optim=adamw_8bit", "optim=adamw.", "kernel" if step == "fails" else "step"):
        _rates("optim=adamw_8bit")


def test_a_schedule_may_follow_the_share_done_and_not_the_step() -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    share = [0.0]
    settings = composed("optim.lr=1.0", "optim.warmup=0.2").optim
    make = optimizer_factory(settings, total_steps=None, progress=lambda: share[0])
    optimizer, schedule = make([{"params": [weight]}])
    found = []
    optimizer.step()
    for share[0] in (0.0, 0.1, 0.2, 0.6, 0.6, 1.0):
        schedule.step()
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([0, 0.5, 1, 0.5, 0.5, 0])


def test_fused_adamw_takes_the_same_steps() -> None:
    """Weights after ten steps, decay included, to 1e-6 of them."""
    found = {}
    for fused in (False, True):
        generator = torch.Generator().manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(size, generator=generator)) for size in ((7, 5), (3,), ())]
        make = optimizer_factory(composed("optim.lr=0.01").optim, total_steps=10, fused=fused)
        optimizer, schedule = make([{"params": weights}])
        assert bool(optimizer.param_groups[0]["fused"]) == fused
        for _ in range(10):
            for weight in weights:
                weight.grad = torch.randn(weight.shape, generator=generator)
            optimizer.step()
            schedule.step()
        found[fused] = torch.cat([weight.detach().flatten() for weight in weights])
    assert torch.allclose(found[True], found[False], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("devices", "fused"),
    [
        (Devices(), True),
        (Devices(accelerator="gpu", precision="bf16-mixed"), True),
        (Devices(accelerator="gpu", precision="16-mixed"), False),
        (Devices(strategy="fsdp", per_node=2), False),
    ],
)
def test_adamw_is_fused_where_gradients_are_neither_scaled_nor_sharded(devices: Devices, fused: bool) -> None:
    assert use_fused_adamw(composed().speed, devices) is fused
    assert not use_fused_adamw(composed("speed.fused_adamw=false").speed, devices)
