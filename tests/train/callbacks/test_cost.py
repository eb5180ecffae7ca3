"""Training and evaluation are timed apart, and padding is no token."""

from types import SimpleNamespace

import pytest
import torch

from ftlab.methods.work import TrainingWork
from ftlab.models.flops import MatmulParams
from ftlab.train.callbacks.cost import CostMeter


@pytest.mark.parametrize("validated", [True, False], ids=["after_a_validation", "after_a_step"])
def test_the_clock_of_training_stands_still_in_validation_and_when_training_is_over(
    validated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(
        "ftlab.train.callbacks.cost.time", SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: now[0] / 2)
    )
    meter = CostMeter(TrainingWork(MatmulParams(1, 1, 1), 0), base_weight_bytes=0, saving_s=lambda: 0.0)
    module = SimpleNamespace(device=torch.device("cpu"), log=lambda *_: None)
    batch = {
        "input_ids": torch.ones(2, 5, dtype=torch.long),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]),
    }
    meter.on_train_start(None, module)
    for _ in range(2):
        meter.on_train_batch_start(None, module, batch, 0)
        now[0] += 1
        meter.on_validation_start(None, module)
        now[0] += 2
        meter.on_validation_epoch_end(None, module)
    if not validated:  # steps that no validation follows
        meter.on_train_batch_start(None, module, batch, 0)
        now[0] += 1
    meter.on_train_end(None, module)
    now[0] += 5
    meter.on_test_start(None, module)
    now[0] += 7
    meter.on_test_end(None, module)
    now[0] += 11
    steps = 2 if validated else 3
    assert (meter.train_s, meter.eval_s) == (steps, 4 + 7)
    assert meter.net_train_s == meter.train_s
    assert meter.train_cpu_s == steps / 2
    assert meter.energy.joules is None
    assert meter.energy.status == "no GPU"
    assert (meter.examples, meter.tokens) == (2 * steps, 7 * steps)
    assert meter.peak_memory is not None
