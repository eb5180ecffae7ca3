"""Data of a run are loaded as its devices and its optimizer steps ask for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftlab.data.build import build_data
from ftlab.data.encoding.encoded_split import SplitSummary, TokenizedSplit
from ftlab.data.loading.batches import evaluation_loader
from ftlab.models.devices import Accelerator, Devices
from tests.data.making import jsonl, reviews
from tests.fixtures.compose import composed


@pytest.mark.parametrize(("accelerator", "pinned"), [("cpu", False), ("gpu", True), ("mps", False)])
def test_memory_is_pinned_for_a_gpu_alone(accelerator: Accelerator, pinned: bool, tmp_path: Path) -> None:
    config = composed("dataset=text_files", f"dataset.source.train={jsonl(tmp_path / 'rows.jsonl', reviews(40))}")
    loading = build_data(config, Devices(accelerator=accelerator)).loading
    assert loading.pin_memory is pinned
    examples = TokenizedSplit([], list, np.array([]), np.array([]), SplitSummary(None, {}, (0, 0)))
    collate: Any = None
    assert evaluation_loader(examples, collate, loading, None).pin_memory is pinned


@pytest.mark.parametrize("halvings", [0, 1])
def test_the_batch_of_a_step_is_that_of_all_devices_and_micro_batches(halvings: int, tmp_path: Path) -> None:
    rows = f"dataset.source.train={jsonl(tmp_path / 'rows.jsonl', reviews(40))}"
    settings = ("hardware=ddp_cpu", "optim.batch_size=16", "optim.accumulate=2")
    config = composed("dataset=text_files", rows, *settings).with_smaller_micro_batches(halvings)
    loading = build_data(config, Devices(per_node=2, rank=1)).loading
    assert loading.batch_size == config.optim.batch_size == 16
    assert (loading.micro_batch_size, loading.rank) == (4 // 2**halvings, 1)
