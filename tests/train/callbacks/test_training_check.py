"""The checks notice what they are there for."""

from typing import Any

import pytest
import torch
from torch import nn

from ftlab.record import Check
from ftlab.train.callbacks.memory import PeakMemory
from ftlab.train.callbacks.training_check import TrainingCheck, frozen_digests


class _Module(nn.Module):
    device = torch.device("cpu")  # as a LightningModule has it

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))


def _checked(module: _Module, trainable: list[str], used: int) -> TrainingCheck:
    """Train a step through the first `used` layers."""
    check = TrainingCheck(trainable)
    check.on_fit_start(None, module)
    out = torch.ones(1, 3)
    for layer in list(module.model)[:used]:
        out = layer(out)
    out.sum().backward()
    check.on_train_end(None, module)
    return check


def _checks(check: TrainingCheck) -> dict[str, Check]:
    trainer: Any = None
    fields: dict[str, dict[str, Check]] = check.record_fields(trainer)
    return fields["checks"]


def test_a_tensor_without_gradient_is_named() -> None:
    check = _checked(_Module(), ["0.weight", "0.bias", "2.weight"], used=2)
    result = _checks(check)["gradients"]
    assert result.status == "failed"
    assert "1 of 3" in result.detail
    assert "2.weight" in result.detail
    assert "0.weight" not in result.detail


def test_all_gradients_seen_passes() -> None:
    assert _checks(_checked(_Module(), ["0.weight", "2.weight"], used=3))["gradients"].status == "passed"


def test_a_zero_gradient_does_not_count() -> None:
    module = _Module()
    nn.init.zeros_(module.model[1].weight)  # as LoRA's B at the first step
    assert _checks(_checked(module, ["0.weight"], used=3))["gradients"].status == "failed"


def test_a_frozen_tensor_that_changes_is_named() -> None:
    module = _Module()
    check = TrainingCheck(["0.weight"])
    check.on_fit_start(None, module)
    with torch.no_grad():
        module.model[1].bias[0] += 1e-6
    check.on_train_end(None, module)
    result = _checks(check)["frozen_unchanged"]
    assert result.status == "failed"
    assert "1.bias" in result.detail
    assert "1.weight" not in result.detail


def test_digests_take_any_shape_and_little_memory() -> None:
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(1.5))
    model.table = nn.Parameter(torch.ones(16_000_000).reshape(1000, -1))
    peak = PeakMemory(torch.device("cpu"))
    peak.start()
    digests = frozen_digests(model, [])
    assert (digests["table"] - 8_000_000 * int(torch.ones(2).view(torch.int64))) % 2**64 == 0
    assert digests["scale"] == sum(torch.tensor([1.5]).view(torch.uint8).tolist())
    assert peak.stop() - peak.baseline < 64 * 2**20  # the table itself has 61 MiB


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("start", [0, 1])
def test_digests_see_every_element(dtype: torch.dtype, start: int) -> None:
    model = nn.Module()
    values = torch.ones(start + 13, dtype=dtype)[start:]  # from 1 on, no word begins where the tensor does
    model.weight = nn.Parameter(values, requires_grad=False)
    before = frozen_digests(model, [])
    for place in range(len(values)):
        with torch.no_grad():
            values[place] = 2
        assert frozen_digests(model, []) != before
        with torch.no_grad():
            values[place] = 1
    assert frozen_digests(model, []) == before


def test_digests_leave_out_what_trains() -> None:
    model = nn.Linear(2, 2)
    assert set(frozen_digests(model, ["weight"])) == {"bias"}
