"""What is kept comes out as it went in, in memory and from a file, and no more than is allowed."""

from pathlib import Path

import pytest
import torch

from ftlab.callbacks.states import InMemory, Kept, OnDisk, room_for


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("place", ["memory", "file"])
def test_what_comes_out_is_what_went_in(place: str, dtype: torch.dtype, tmp_path: Path) -> None:
    kept: Kept = InMemory() if place == "memory" else OnDisk(tmp_path, dtype)
    tensors = {bytes([n]): torch.randn(n + 1, 5).to(dtype) for n in range(7)}
    tensors[b"text"] = torch.randn(5).to(dtype)
    with torch.inference_mode():  # as validation has it
        for key, tensor in tensors.items():
            kept[key] = tensor[:]
    for key, tensor in reversed(tensors.items()):
        assert key in kept
        assert torch.equal(kept[key], tensor)
        assert kept[key].dtype == dtype
        assert not kept[key].is_inference(), "training could not read it"
    assert b"another" not in kept
    assert not list(tmp_path.iterdir()), "the file has no name that could stay behind"


def test_memory_first_then_a_file_then_nothing(tmp_path: Path) -> None:
    def place(needed: int, *, sharing: int = 1, memory: float | None = 1e-6, disk: float = 2e-6) -> str:
        kept = room_for(needed, tmp_path, torch.float32, memory_gb=memory, disk_gb=disk, sharing=sharing)
        return kept if isinstance(kept, str) else kept.place

    assert place(1000) == "memory"
    assert place(1001) == "a file"
    assert place(1000, sharing=2) == "a file"
    assert "speed.trunk_disk_gb" in place(2001)
    assert "speed.trunk_disk_gb" in place(1001, disk=0)
    assert place(1000, memory=None) == "memory"
    assert place(10**15, memory=None) != "memory"
