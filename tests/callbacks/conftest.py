"""Fixtures that note what a run spares: states that it keeps, and last blocks that it shortens."""

from collections import Counter
from typing import Any

import pytest
import torch

from ftlab.callbacks.last_block import OneToken
from ftlab.callbacks.states import InMemory, Kept, OnDisk


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the texts whose states are kept, by the place where they are; equal texts are kept once."""
    texts: Counter[str] = Counter()

    def counted(kept: type[Kept]) -> None:
        plain = kept.__setitem__

        def counting(self: Kept, key: bytes, tensor: torch.Tensor) -> None:
            texts[self.place] += 1
            plain(self, key, tensor)

        monkeypatch.setattr(kept, "__setitem__", counting)

    counted(InMemory)
    counted(OnDisk)
    return texts


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> list[OneToken]:
    """Note what shortens a last block, when training begins with it."""
    begun: list[OneToken] = []
    plain = OneToken.on_train_start

    def noting(self: OneToken, *args: Any) -> None:
        begun.append(self)
        plain(self, *args)

    monkeypatch.setattr(OneToken, "on_train_start", noting)
    return begun
