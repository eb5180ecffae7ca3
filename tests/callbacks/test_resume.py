"""When checkpoints are written; that a run goes on from them to the bit stands in tests/launch/test_resume.py."""

import time
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from ftlab.callbacks.resume import ResumePoints
from ftlab.checkpoints import DurableFiles
from tests.training import batch_for, config_for, module_for, posed, task_named


class SlowDisk(DurableFiles):
    """Takes longer to save than a step takes to train."""

    def __init__(self) -> None:
        self.saved: list[int] = []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        time.sleep(0.1)
        self.saved.append(checkpoint["global_step"])
        super().save_checkpoint(checkpoint, path, storage_options)


@pytest.mark.parametrize(("every_s", "saved"), [(0.0, [1, 2, 3, 4, 5]), (1e-6, [1])])
def test_only_zero_seconds_save_after_every_step_however_long_saving_takes(
    every_s: float, saved: list[int], tmp_path: Path
) -> None:
    config = config_for("head", "bert", tmp_path)
    task = posed(config, task_named("classification"))
    disk = SlowDisk()
    trainer = Trainer(
        accelerator="cpu",
        max_steps=6,
        logger=False,
        plugins=[disk],
        callbacks=[ResumePoints(tmp_path / "points", every_s=every_s, accumulate=1, start=None, stop=None)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        default_root_dir=tmp_path,
    )
    loader = DataLoader([batch_for(task)] * 6, batch_size=None)
    trainer.fit(module_for(config, task, steps=6), loader, loader)
    assert disk.saved == saved
