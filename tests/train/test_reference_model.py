"""Reference model of a run whose task kind needs one: what it costs, and where there is none."""

from pathlib import Path
from typing import Any

import pytest
import torch

from ftlab.core.batch import model_inputs
from ftlab.core.errors import ConfigError
from ftlab.models.flops import count_matmul_params
from ftlab.models.frozen_prefix import eval_mode
from ftlab.record import RunRecord
from ftlab.tasks.base import TaskModule
from ftlab.train.run import run
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import TRAINED, proven, settings_for
from tests.fixtures.refusals import refused
from tests.fixtures.user_kinds import users_kinds

PARTS = """
import torch
from close import KIND
from torch.nn.functional import kl_div

from ftlab.core.batch import model_inputs
from ftlab.data.classification import ClassificationData
from ftlab.tasks.classification import Classification


class CloseData(ClassificationData):
    kind = KIND


class Close(Classification):
    def loss(self, batch):  # cross entropy, and the distance from the base
        base = self.reference_model.logits(model_inputs(batch)).float().log_softmax(-1)
        ours = self._logits(batch).log_softmax(-1)
        return super().loss(batch) + kl_div(ours, base, reduction="batchmean", log_target=True)
"""


def close_run(folder: Path, *overrides: str) -> RunRecord:
    """Train a user's kind whose loss needs a reference."""
    head = "replace(CLASSIFICATION.head, module='close_parts.Close')"
    text = (
        "from dataclasses import replace\n"
        "from ftlab.kinds.classification import KIND as CLASSIFICATION\n"
        f"KIND = replace(CLASSIFICATION, name='close', data='close_parts.CloseData', head={head}, "
        "cloze=False, needs_reference=True)\n"
    )
    folder.mkdir(exist_ok=True)
    with users_kinds(folder) as write:
        write("close.py", text)
        write("close_parts.py", PARTS)
        config = composed(*settings_for("bert", "text_files"), "dataset.task=close", "kinds=[close.py]", *overrides)
        return run(config, folder / "run", [])


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_counts_what_it_costs(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    start = TaskModule.on_train_start

    def on_train_start(module: TaskModule[Any]) -> None:
        seen["params"] = count_matmul_params(module.model)
        seen["names"] = [name for name, _ in module.named_parameters()]
        batch = model_inputs(module.trainer.datamodule.probe_batch())
        with torch.no_grad(), eval_mode(module.model):  # before the first step, both methods compute what the base does
            seen["same"] = torch.equal(module.reference_model.logits(batch), module.method.forward(module.model, batch))
        start(module)

    monkeypatch.setattr(TaskModule, "on_train_start", on_train_start)
    record = proven(close_run(tmp_path, f"method={method}", *TRAINED))
    second = record.cost.reference_weight_bytes
    assert second == (record.cost.base_weight_bytes if method == "full" else 0)
    assert seen["same"], "the second base has the same new head"
    params, tokens = seen["params"], record.cost.tokens_seen
    without = 2 * (params.forward + params.backward + params.trained) * tokens
    assert record.cost.training_flops == pytest.approx(without + 2 * params.forward * tokens)
    assert not [name for name in seen["names"] if "reference" in name], "it is neither trained nor saved"


def test_an_estimate_counts_the_second_base(tmp_path: Path) -> None:
    weights = {}
    for method in ("full", "lora"):
        record = close_run(tmp_path / method, f"method={method}", "plan=true")
        estimate = record.predicted
        weights[method] = estimate.memory_bytes.weights - 4 * estimate.total
    assert weights["full"] == pytest.approx(record.predicted.total * 4, rel=0.1)
    assert abs(weights["lora"]) < weights["full"] / 5


def test_sharded_weights_have_none(tmp_path: Path) -> None:
    with refused(ConfigError, "dataset.task=close", "hardware.strategy=ddp"):
        close_run(tmp_path, "hardware.strategy=fsdp", "hardware.devices=2", "hardware.accelerator=cpu")


def test_other_kinds_have_none(tmp_path: Path) -> None:
    record = proven(run(composed(*settings_for("bert", "text_files"), "method=bitfit", *TRAINED), tmp_path, []))
    assert record.cost.reference_weight_bytes is None
