"""The peak is that of the time between start and end."""

import time

import numpy as np
import pytest
import torch

from ftlab.train.callbacks import memory
from ftlab.train.callbacks.memory import PeakMemory

MIB = 2**20


def _allocate(mib: int) -> None:
    np.ones(mib * MIB, dtype=np.uint8).sum()


def test_the_peak_leaves_out_what_was_before() -> None:
    _allocate(256)
    peak = PeakMemory(torch.device("cpu"))
    peak.start()
    _allocate(64)
    assert 48 * MIB < peak.stop() - peak.baseline < 192 * MIB


def test_what_happens_between_two_stretches_does_not_count() -> None:
    peak = PeakMemory(torch.device("cpu"))
    peak.start()
    _allocate(32)
    peak.stop()
    _allocate(256)
    peak.start()
    assert peak.stop() - peak.baseline < 128 * MIB


def test_where_the_mark_cannot_be_reset_it_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", memory.Path("/nonexistent/clear_refs"))
    monkeypatch.setattr(memory, "_SAMPLE_SECONDS", 0.001)
    peak = PeakMemory(torch.device("cpu"))
    peak.start()
    held = np.ones(64 * MIB, dtype=np.uint8)
    until = time.monotonic() + 300  # a guard against hanging: the next sample has it
    while peak.so_far() - peak.baseline <= 48 * MIB and time.monotonic() < until:
        time.sleep(0.001)
    assert peak.stop() - peak.baseline > 48 * MIB
    assert peak.source == "sampled resident set size"
    assert held.any()
