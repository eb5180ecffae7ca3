"""Energy of a GPU, with an NVML of the test's own: no machine that these tests run on has one to ask."""

import sys
from types import SimpleNamespace

import pytest
import torch

from ftlab.train.callbacks.energy import GpuEnergy

CUDA = torch.device("cuda")


class Broken(Exception):
    pass


class FakeNvml:
    """A counter that is at 5 J when first seen, and that the test turns on."""

    NVMLError = Broken

    def __init__(self) -> None:
        self.millijoules = 5000
        self.broken = False

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        assert uuid == "GPU-1234"
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == "handle"
        if self.broken:
            raise Broken("Not Supported")
        return self.millijoules


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    return fake


def test_stretches_of_training_are_added_up(nvml: FakeNvml) -> None:
    energy = GpuEnergy(CUDA, before=1.0)
    for drawn in (3000, 500):
        energy.start()
        nvml.millijoules += drawn
        energy.stop()
        nvml.millijoules += 10_000  # a validation
    assert energy.joules == pytest.approx(1 + 3.5)
    assert energy.status == "ok"


def test_a_gpu_that_does_not_count_has_a_status(nvml: FakeNvml) -> None:
    nvml.broken = True
    energy = GpuEnergy(CUDA)
    energy.start()
    energy.stop()
    assert energy.joules is None
    assert "Not Supported" in energy.status


def test_a_driver_that_goes_away_leaves_no_half_number(nvml: FakeNvml) -> None:
    energy = GpuEnergy(CUDA)
    energy.start()
    nvml.broken = True
    energy.stop()
    assert energy.joules is None
    assert "Not Supported" in energy.status


def test_without_nvml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    energy = GpuEnergy(CUDA)
    assert energy.joules is None
    assert 'pip install "ftlab[energy]"' in energy.status
