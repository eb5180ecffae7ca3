"""Run setup: what depends on the devices that were found."""

from types import SimpleNamespace
from typing import Any

import pytest

from ftlab.models.devices import Devices
from ftlab.train.setup import _which_logits
from tests.training import applied, config_for, task_for_model, task_named


@pytest.mark.parametrize(
    ("devices", "logits"),
    [
        (Devices(), "chunks"),
        (Devices(accelerator="gpu", precision="bf16-mixed"), "chunks"),
        (Devices(accelerator="gpu", precision="16-mixed"), "labelled"),
        (Devices(strategy="fsdp", per_node=2), "labelled"),
    ],
)
def test_gradients_are_made_in_the_forward_pass_where_they_are_not_scaled_or_sharded(
    devices: Devices, logits: str
) -> None:
    config = config_for("lora", "gpt2")
    assert config.hardware.precision == "auto"
    task = task_for_model(config, task_named("instruction"))
    method, model = applied(config, task)
    setup: Any = SimpleNamespace(config=config, devices=devices, task=task, method=method)
    assert _which_logits(setup, model) == logits
