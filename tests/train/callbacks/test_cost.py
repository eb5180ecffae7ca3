"""Training and evaluation are timed apart, and padding is no token."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ftlab.core.callback import run_clock
from ftlab.core.phase_clock import GENERATED_TOKENS, PhaseClock, Seconds
from ftlab.methods.partial import Full
from ftlab.methods.work import TrainingWork
from ftlab.models.flops import MatmulParams
from ftlab.train.callbacks.cost import CostMeter
from tests.train.callback_runs import run_tiny

BATCH = {
    "input_ids": torch.ones(2, 5, dtype=torch.long),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]),
}
MODULE: Any = SimpleNamespace(device=torch.device("cpu"), log=lambda *_: None)
TRAINER: Any = SimpleNamespace(strategy=SimpleNamespace(root_device="cpu"), callbacks=[], global_step=1)


def meter_at(now: list[float], *, saving_s: float = 0.0) -> CostMeter:
    clock = PhaseClock(lambda: Seconds(now[0], now[0] / 2))
    work = TrainingWork(MatmulParams(1, 1, 1), 0)
    return CostMeter(work, clock=clock, base_weight_bytes=0, saving_s=lambda: saving_s)


@pytest.mark.parametrize("validated", [True, False], ids=["after_a_validation", "after_a_step"])
def test_the_clock_of_training_stands_still_in_validation_and_when_training_is_over(validated: bool) -> None:
    now = [0.0]
    meter = meter_at(now)
    meter.on_train_start(TRAINER, MODULE)
    for _ in range(2):
        meter.on_train_batch_start(TRAINER, MODULE, BATCH, 0)
        now[0] += 1
        meter.on_validation_start(TRAINER, MODULE)
        now[0] += 2
        meter.on_validation_epoch_end(TRAINER, MODULE)
        meter.on_validation_end(TRAINER, MODULE)
    if not validated:  # steps that no validation follows
        meter.on_train_batch_start(TRAINER, MODULE, BATCH, 0)
        now[0] += 1
    meter.on_train_end(TRAINER, MODULE)
    now[0] += 5
    meter.on_test_start(TRAINER, MODULE)
    now[0] += 7
    meter.on_test_end(TRAINER, MODULE)
    now[0] += 11
    steps = 2 if validated else 3
    assert (meter.train_s, meter.eval_s) == (steps, 4 + 7)
    assert meter.net_train_s == meter.train_s
    cost = meter.record_fields(TRAINER)["cost"]
    assert cost.train_cpu_s == steps / 2
    assert cost.phases == {"setup": 0, "train": steps, "eval": 4 + 7}
    assert cost.generated_tokens is None
    assert meter.energy.joules is None
    assert meter.energy.status == "no GPU"
    assert (meter.examples, meter.tokens) == (2 * steps, 7 * steps)
    assert meter.peak_memory is not None


def test_a_validation_without_training_is_all_that_is_timed() -> None:
    now = [3.0]
    meter = meter_at(now)
    meter.on_validation_start(TRAINER, MODULE)
    now[0] += 2
    meter.on_validation_end(TRAINER, MODULE)
    now[0] += 5
    assert meter.record_fields(TRAINER)["cost"].phases == {"setup": 0, "train": 0, "eval": 2}


def test_phases_are_deducted_from_what_they_are_in_and_saving_from_training() -> None:
    now = [0.0]
    meter = meter_at(now, saving_s=3.0)
    meter.setup_s = 8.0
    meter.on_train_start(TRAINER, MODULE)
    now[0] += 16
    with meter.clock.phase("reward"):
        now[0] += 32
    meter.on_validation_start(TRAINER, MODULE)
    now[0] += 64
    with meter.clock.phase("generate"):
        now[0] += 128
    meter.clock.count(GENERATED_TOKENS, 40)
    meter.on_train_end(TRAINER, MODULE)
    cost = meter.record_fields(TRAINER)["cost"]
    assert (cost.setup_s, cost.train_s, cost.eval_s) == (8, 48 - 3, 192)
    assert cost.phases == {"setup": 8, "train": 16 - 3, "eval": 64, "reward": 32, "generate": 128}
    assert cost.train_cpu_s == 24
    assert cost.generated_tokens == 40


@pytest.mark.parametrize("older", [False, True])
def test_a_resumed_run_continues_from_the_times_of_its_checkpoint(older: bool) -> None:
    """Those of an older version have no phases."""
    now = [0.0]
    before = meter_at(now)
    before.on_train_start(TRAINER, MODULE)
    before.on_train_batch_start(TRAINER, MODULE, BATCH, 0)
    now[0] += 1
    before.on_validation_start(TRAINER, MODULE)
    now[0] += 2
    before.on_train_batch_start(TRAINER, MODULE, BATCH, 0)
    now[0] += 4
    state = before.state_dict()
    if older:
        del state["clock"]
        state |= {"train_s": 5.0, "train_cpu_s": 2.5, "eval_s": 2.0}
    now[0] = 1000.0  # of another process
    after = meter_at(now)
    after.load_state_dict(state)
    now[0] += 100
    assert (after.train_s, after.eval_s) == (5, 2)
    after.on_train_start(TRAINER, MODULE)
    now[0] += 8
    assert after.net_train_s == 13
    after.on_train_end(TRAINER, MODULE)
    cost = after.record_fields(TRAINER)["cost"]
    assert (cost.train_s, cost.train_cpu_s, cost.eval_s, cost.examples_seen) == (13, 6.5, 2, 4)
    assert cost.phases == {"setup": 0, "train": 13, "eval": 2}


class Rewards(Callback):
    """A user's callback, which asks a reward model at each step."""

    def __init__(self) -> None:
        self.clocks: list[PhaseClock] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        clock = run_clock(trainer)
        with clock.phase("reward"):
            self.clocks.append(clock)
            assert sum(range(1000)), "something that takes time"


def test_a_users_phase_in_training_is_in_the_record_and_is_training(tmp_path: Any, monkeypatch: Any) -> None:
    rewards = Rewards()
    monkeypatch.setattr(Full, "callbacks", lambda self: [rewards])
    cost = run_tiny("bert", "full", tmp_path).cost
    assert cost is not None
    assert list(cost.phases) == ["setup", "train", "eval", "reward"]
    assert cost.phases["reward"] > 0
    assert sum(cost.phases.values()) == pytest.approx(cost.setup_s + cost.train_s + cost.eval_s, abs=1e-6)
    assert cost.phases["train"] + cost.phases["reward"] == pytest.approx(cost.train_s, abs=1e-6)
    (clock,) = set(rewards.clocks)
    assert clock.seconds("eval").wall == cost.eval_s
