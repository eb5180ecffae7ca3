"""Runs on a CUDA device: speedups give the same run, and no step waits for the device unasked."""

import threading
import traceback
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from ftlab.tasks.base import TaskModule
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for
from tests.train.callback_runs import compare, run_tiny

pytestmark = pytest.mark.gpu

GPU = ("hardware.accelerator=gpu", "robustness=none")


@pytest.mark.parametrize(
    ("kind", "method", "off", "on"),
    [
        ("bert", "head", "speed.frozen_layers=off", "speed.frozen_layers=auto"),
        ("bert", "partial", "speed.frozen_layers=off", "speed.frozen_layers=auto"),
        ("llama", "partial", "speed.frozen_layers=off", "speed.frozen_layers_memory_gb=0"),
        ("bert", "full", "speed.last_block=all", "speed.last_block=auto"),
        ("bert", "full", "speed.micro_batch_tokens=null", "speed.micro_batch_tokens=64"),
        ("bert", "full", "speed.fused_adamw=false", "speed.fused_adamw=true"),
    ],
)
def test_the_run_is_the_same(kind: str, method: str, off: str, on: str, tmp_path: Path) -> None:
    layers = ["method.layers=1"] * (method == "partial")
    same = (*GPU, "hardware.precision=32-true", "model.dropout=0.0", *layers)
    plain = run_tiny(kind, method, tmp_path / "plain", *same, off)
    quick = run_tiny(kind, method, tmp_path / "quick", *same, on)
    assert (plain.status, quick.status) == ("completed", "completed"), quick.failure
    compare(tmp_path / "quick", tmp_path / "plain", (quick, plain))


def test_no_step_waits_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for Transformers, which looks whether a batch has padding, and where the loss is written down."""
    waited: list[str] = []
    begun = TaskModule.on_train_batch_start

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if "synchroniz" in str(message) and threading.current_thread() is threading.main_thread():
            frames = [frame for frame in traceback.extract_stack() if "site-packages/torch/" not in frame.filename]
            waited.append(f"{frames[-2].filename}:{frames[-2].lineno} {frames[-2].line}")

    def watching(self: TaskModule[Any], batch: Any, batch_idx: int) -> None:
        torch.cuda.set_sync_debug_mode("warn" if batch_idx > 3 and not self._due(batch_idx) else "default")
        begun(self, batch, batch_idx)

    rows = rows_for("instruction_files")
    settings = [
        "method=lora",
        "model=hf",
        f"model.name={tiny('llama')}",
        "dataset=instruction_files",
        "hardware.measure_latency=false",
    ]
    settings += [f"dataset.source.train={rows}", "budget=steps", "budget.steps=150", "budget.validations=1"]
    settings += ["tracker=none", "dataset.max_length=64", "dataset.generate.rows=0", *GPU]
    monkeypatch.setattr(warnings, "showwarning", show)
    monkeypatch.setattr(TaskModule, "on_train_batch_start", watching)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        record = run(composed(*settings), tmp_path / "run", [])
    torch.cuda.set_sync_debug_mode("default")
    assert record.status == "completed", record.failure
    assert waited, "nothing was watched"
    assert [place for place in waited if "transformers/masking_utils.py" not in place] == []
