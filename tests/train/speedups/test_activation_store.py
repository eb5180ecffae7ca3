"""Activation stores: what goes in comes out, in memory and from a file, within the limits."""

import resource
from pathlib import Path

import pytest
import torch

from ftlab.core.errors import UserError
from ftlab.train.speedups.activation_store import ActivationStore, InMemory, OnDisk, choose_store
from tests.fixtures.refusals import refused


@pytest.mark.parametrize("place", ["memory", "file"])
def test_what_comes_out_is_what_went_in(place: str, tmp_path: Path) -> None:
    kept: ActivationStore = InMemory() if place == "memory" else OnDisk(tmp_path)
    tensors = {bytes([n]): torch.randn(n + 1, 5).to(torch.bfloat16 if n % 2 else torch.float32) for n in range(7)}
    tensors[b"text"] = torch.randn(5)
    with torch.inference_mode():  # as validation has it
        for key, tensor in tensors.items():
            kept[key] = tensor[:]
    for key, tensor in reversed(tensors.items()):
        assert key in kept
        assert torch.equal(kept[key], tensor)
        assert kept[key].dtype == tensor.dtype
        assert not kept[key].is_inference(), "training could not read it"
    assert b"another" not in kept
    assert not list(tmp_path.iterdir()), "the file has no name that could stay behind"


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path) -> None:
    kept = OnDisk(tmp_path)
    kept[b"fits"] = torch.ones(1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))  # the file has 4,000 bytes
    try:
        with refused(UserError, tmp_path, "File too large", "speed.frozen_layers_disk_gb=0"):
            kept[b"does not"] = torch.ones(1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert b"does not" not in kept
    assert torch.equal(kept[b"fits"], torch.ones(1000))


def test_memory_first_then_a_file_then_nothing(tmp_path: Path) -> None:
    def place(needed: int, *, sharing: int = 1, memory: float | None = 1e-6, disk: float = 2e-6) -> str:
        kept = choose_store(needed, tmp_path, memory_gb=memory, disk_gb=disk, processes=sharing)
        return kept if isinstance(kept, str) else kept.location

    assert place(1000) == "memory"
    assert place(1001) == "a file"
    assert place(1000, sharing=2) == "a file"
    assert "speed.frozen_layers_disk_gb" in place(2001)
    assert "speed.frozen_layers_disk_gb" in place(1001, disk=0)
    assert place(1000, memory=None) == "memory"
    assert place(10**15, memory=None) != "memory"
