"""Times at which checkpoints are written; tests/launch/test_resume.py has resuming to the bit."""

import signal
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

from ftlab.core.phase_clock import PhaseClock, Seconds
from ftlab.core.signals import Stopped, StopSignals
from ftlab.methods.work import TrainingWork
from ftlab.models.flops import MatmulParams
from ftlab.record.checkpoints import resume_points
from ftlab.train.callbacks.cost import CostMeter
from ftlab.train.callbacks.resume import ResumePoints
from ftlab.train.checkpoint_io import DurableCheckpointIO
from tests.fixtures.refusals import refused
from tests.training import batch_for, config_for, module_for, task_for_model, task_named

SAVING_S, STEP_S, VALIDATION_S = 64.0, 1.0, 8.0  # of the clock below: binary fractions add up exactly


class Clock(Callback):
    """The time that callbacks see: it goes on while a batch is trained on, validated or saved, and at no other time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("ftlab.train.callbacks.resume.time", SimpleNamespace(monotonic=self.read))

    def read(self) -> float:
        return self.now

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self.now += STEP_S

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        self.now += VALIDATION_S


class SlowDisk(DurableCheckpointIO):
    """Takes longer to save than a step takes to train."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.saved: list[int] = []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.clock.now += SAVING_S
        self.saved.append(checkpoint["global_step"])
        super().save_checkpoint(checkpoint, path, storage_options)


def fit(
    folder: Path, disk: SlowDisk, callbacks: list[Callback], *, start: Path | None = None, **settings: Any
) -> Trainer:
    config = config_for("head", "bert")
    task = task_for_model(config, task_named("classification"))
    trainer = Trainer(
        accelerator="cpu",
        max_steps=6,
        logger=False,
        plugins=[disk],
        callbacks=[*callbacks, disk.clock],
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **settings,
    )
    loader = DataLoader([batch_for(task)] * 6, batch_size=None)
    trainer.fit(module_for(config, task, steps=6), loader, loader, ckpt_path=start, weights_only=True)
    return trainer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the callbacks read."""
    return Clock(monkeypatch)


def points_in(folder: Path, *, every_s: float) -> ResumePoints:
    return ResumePoints(folder / "points", every_s=every_s, accumulate=1, start=None, stop=None)


class Told(StopSignals, Callback):
    """A signal that comes in the last step, after which training does not ask any more; an early end of training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def install(self) -> None:
        """Leave the test's own signals alone."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.steps:
            trainer.should_stop = True
            self._handle(signal.SIGTERM, None)


@pytest.mark.parametrize("steps", [6, 4], ids=["budget", "early_stopping"])
def test_after_a_signal_in_the_last_step_nothing_is_lost(steps: int, tmp_path: Path, clock: Clock) -> None:
    told, disk = Told(steps), SlowDisk(clock)
    points = ResumePoints(tmp_path / "points", every_s=1e6, accumulate=1, start=None, stop=told)
    with refused(Stopped, "SIGTERM"):
        fit(tmp_path, disk, [points, told], limit_val_batches=0)
    assert not told.deferring
    assert disk.saved == [steps]
    (start,) = resume_points(tmp_path / "points")
    resumed = ResumePoints(tmp_path / "points", every_s=1e6, accumulate=1, start=start, stop=None)
    trainer = fit(tmp_path, disk, [resumed], start=start.path, limit_val_batches=0)
    assert trainer.global_step == steps


@pytest.mark.parametrize(("every_s", "saved"), [(0.0, [1, 2, 3, 4, 5]), (1e-6, [1])])
def test_only_zero_seconds_save_after_every_step_however_long_saving_takes(
    every_s: float, saved: list[int], tmp_path: Path, clock: Clock
) -> None:
    disk = SlowDisk(clock)
    fit(tmp_path, disk, [points_in(tmp_path, every_s=every_s)], limit_val_batches=0)
    assert disk.saved == saved


def test_a_rung_ends_with_a_validation_alone(tmp_path: Path, clock: Clock) -> None:
    """A run that is resumed beyond the end of a smaller rung goes on to its next validation."""
    points = ResumePoints(tmp_path / "points", every_s=1e6, accumulate=1, start=None, stop=None, pause_step=2)
    fit(tmp_path, SlowDisk(clock), [points], limit_val_batches=0)


@pytest.mark.parametrize("validated", [False, True], ids=["between_steps", "after_validations"])
def test_the_time_of_saving_is_taken_from_what_it_was_booked_to(validated: bool, tmp_path: Path, clock: Clock) -> None:
    points, disk = points_in(tmp_path, every_s=0.0), SlowDisk(clock)
    work = TrainingWork(MatmulParams(1, 1, 1), 0)
    ticking = PhaseClock(lambda: Seconds(clock.now, clock.now))
    meter = CostMeter(work, clock=ticking, base_weight_bytes=0, saving_s=lambda: points.saving_s)
    often = {"val_check_interval": 1, "limit_val_batches": 1} if validated else {"limit_val_batches": 0}
    trainer = fit(tmp_path, disk, [points, meter], **often)
    saving_s, validation_s = 5 * SAVING_S, 6 * VALIDATION_S
    assert len(disk.saved) == 5
    if validated:
        assert (points.saving_s, meter.eval_s) == (0, validation_s + saving_s)
        assert meter.train_s == 6 * STEP_S
    else:
        assert (points.saving_s, meter.eval_s) == (saving_s, 0)
        assert meter.train_s == 6 * STEP_S + saving_s  # with it
    cost = meter.record_fields(trainer)["cost"]
    assert (cost.train_s, cost.eval_s) == (6 * STEP_S, meter.eval_s)
    assert cost.phases == {"setup": 0, "train": cost.train_s, "eval": cost.eval_s}


class Ranks:
    """Two ranks that step together and vote; the clock is theirs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, every_s: float) -> None:
        self.now, self.steps, self.voted, self.other = 0.0, 0, [], [0, 0, 0]
        self.points = points_in(folder, every_s=every_s)
        monkeypatch.setattr("ftlab.train.callbacks.resume.time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "all_reduce", self.all_reduce)

    def all_reduce(self, votes: torch.Tensor, op: Any) -> None:
        """The other rank votes too."""
        self.voted.append(self.steps)
        votes.copy_(torch.maximum(votes, torch.tensor(self.other)))

    def step(self, seconds: float) -> tuple[int, bool]:
        self.now += seconds
        self.steps += 1
        trainer: Any = SimpleNamespace(world_size=2, strategy=SimpleNamespace(root_device="cpu"))
        return self.points._agree_on_stop_and_save(trainer)


@pytest.mark.parametrize(("seconds", "most"), [(0.001, 17), (0.1, 11), (0.4, 3), (2.0, 1)])
def test_ranks_ask_each_other_about_once_a_second(
    seconds: float, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = Ranks(tmp_path, monkeypatch, every_s=1e6)
    for _ in range(100):
        assert ranks.step(seconds) == (0, False)
    between = {after - before for before, after in pairwise(ranks.voted[1:])}
    assert between == {most}


def test_the_other_ranks_steps_signal_and_save_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks(tmp_path, monkeypatch, every_s=1e6)
    ranks.other = [0, 0, 250_000]  # microseconds of its longest step
    for _ in range(20):
        ranks.step(0.001)
    assert {after - before for before, after in pairwise(ranks.voted[1:])} == {5}
    ranks.other = [15, 1, 250_000]
    assert [answer for answer in (ranks.step(0.001) for _ in range(5)) if answer != (0, False)] == [(15, True)]


def test_steps_that_grow_longer_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks(tmp_path, monkeypatch, every_s=1e6)
    for seconds in [0.001] * 40 + [30.0] * 40:
        ranks.step(seconds)
    slow = [number for number in ranks.voted if number > 40]
    assert slow[0] <= 40 + 17
    assert slow[1:] == list(range(slow[0] + 1, 81))


def test_ranks_that_save_after_every_step_ask_after_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks(tmp_path, monkeypatch, every_s=0.0)
    assert [ranks.step(0.001) for _ in range(5)] == [(0, True)] * 5
