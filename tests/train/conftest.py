"""Fixtures that note what a run spares: states that it keeps, and last blocks that it shortens."""

from collections import Counter
from typing import Any

import pytest
import torch

from ftlab.train.speedups.activation_store import ActivationStore, InMemory, OnDisk
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the texts whose states are kept, by the place where they are; equal texts are kept once."""
    texts: Counter[str] = Counter()

    def counted(kept: type[ActivationStore]) -> None:
        plain = kept.__setitem__

        def counting(self: ActivationStore, key: bytes, tensor: torch.Tensor) -> None:
            texts[self.location] += 1
            plain(self, key, tensor)

        monkeypatch.setattr(kept, "__setitem__", counting)

    counted(InMemory)
    counted(OnDisk)
    return texts


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> list[ClsOnlyLastBlock]:
    """Note what shortens a last block, when training begins with it."""
    begun: list[ClsOnlyLastBlock] = []
    plain = ClsOnlyLastBlock.on_train_start

    def noting(self: ClsOnlyLastBlock, *args: Any) -> None:
        begun.append(self)
        plain(self, *args)

    monkeypatch.setattr(ClsOnlyLastBlock, "on_train_start", noting)
    return begun
