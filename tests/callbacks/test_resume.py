"""When checkpoints are written; that a run goes on from them to the bit stands in tests/launch/test_resume.py."""

import time
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

from ftlab.callbacks.cost import CostMeter
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


def fit(folder: Path, disk: SlowDisk, callbacks: list[Callback], **settings: Any) -> None:
    config = config_for("head", "bert", folder)
    task = posed(config, task_named("classification"))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=6,
        logger=False,
        plugins=[disk],
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    )
    loader = DataLoader([batch_for(task)] * 6, batch_size=None)
    trainer.fit(module_for(config, task, steps=6), loader, loader)


def points_in(folder: Path, *, every_s: float) -> ResumePoints:
    return ResumePoints(folder / "points", every_s=every_s, accumulate=1, start=None, stop=None)


@pytest.mark.parametrize(("every_s", "saved"), [(0.0, [1, 2, 3, 4, 5]), (1e-6, [1])])
def test_only_zero_seconds_save_after_every_step_however_long_saving_takes(
    every_s: float, saved: list[int], tmp_path: Path
) -> None:
    disk = SlowDisk()
    fit(tmp_path, disk, [points_in(tmp_path, every_s=every_s)], limit_val_batches=0)
    assert disk.saved == saved


@pytest.mark.parametrize("validated", [False, True], ids=["between_steps", "after_validations"])
def test_the_time_of_saving_is_taken_from_what_it_was_booked_to(validated: bool, tmp_path: Path) -> None:
    meter, points, disk = CostMeter(), points_in(tmp_path, every_s=0.0), SlowDisk()
    often = {"val_check_interval": 1, "limit_val_batches": 1} if validated else {"limit_val_batches": 0}
    fit(tmp_path, disk, [points, meter], **often)
    assert len(disk.saved) == 5
    assert meter.train_s > points.saving_s
    assert (points.saving_s == 0) == validated
    assert (meter.eval_s > 0.5) == validated
