"""Devices of a run: what is asked for, what there is, and which process this is."""

import pytest
import torch

from ftlab.core.errors import UserError
from ftlab.models.devices import Devices, find_devices, process_rank
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused


@pytest.fixture
def two_old_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch see two GPUs that only emulate bf16, such as a T4."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)


@pytest.mark.usefixtures("two_old_gpus")
def test_an_old_gpu_trains_in_fp16_and_not_sharded() -> None:
    assert find_devices(composed("hardware=ddp").hardware).precision == "16-mixed"
    with refused(UserError, "hardware=fsdp", "fp16", "hardware.precision=32-true"):
        find_devices(composed("hardware=fsdp").hardware)


@pytest.mark.usefixtures("two_old_gpus")
def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("NODE_RANK", "2")
    hardware = composed("hardware=ddp", "hardware.devices=2", "hardware.num_nodes=3", "optim.batch_size=12").hardware
    devices = find_devices(hardware)
    assert devices.device == torch.device("cuda:1")
    assert (devices.rank, devices.local_rank, devices.world_size) == (5, 1, 6)
    assert process_rank(hardware) == 5
    assert not devices.sharded


@pytest.mark.parametrize(("gpus", "accelerator", "precision"), [(0, "cpu", "32-true"), (1, "gpu", "bf16-mixed")])
def test_a_gpu_is_used_if_there_is_one(
    gpus: int, accelerator: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    devices = find_devices(composed("hardware=auto").hardware)
    assert (devices.accelerator, devices.precision) == (accelerator, precision)


def test_one_process_on_the_cpu_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert find_devices(composed("hardware=cpu").hardware) == Devices()
    assert Devices().device == torch.device("cpu")
    assert find_devices(composed("hardware=fsdp_cpu").hardware).sharded


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("hardware=gpu",), ("hardware=gpu", "1 CUDA device(s)", "0 are visible", "hardware=cpu")),
        (("hardware=cpu", "hardware.accelerator=mps"), ("MPS", "hardware=cpu")),
        (("hardware=cpu", "hardware.precision=16-mixed"), ("hardware.precision=16-mixed", "bf16-mixed")),
    ],
)
def test_hardware_that_is_not_there_is_refused(
    overrides: tuple[str, ...], named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with refused(UserError, *named):
        find_devices(composed(*overrides).hardware)
