"""Training in pieces of few tokens ends where training in one piece does, by every way there."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ftlab.config.fingerprint import determinants
from ftlab.core.errors import ConfigError
from ftlab.data.build import micro_batch_tokens
from ftlab.models.devices import Devices, requested_accelerator
from ftlab.record import RunRecord
from ftlab.train.run import run
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused
from tests.tasks.test_steps import configured

RUN = (
    *("budget=smoke", "tracker=none", "robustness=none", "hardware=cpu", "optim.grad_clip=0.05", "optim.lr=1e-3"),
    *("hardware.measure_latency=false", "dataset.generate.rows=0"),
)


def trained(tmp_path: Path, name: str, *overrides: str) -> tuple[RunRecord, dict[str, torch.Tensor]]:
    config = configured("instruction", "llama", tmp_path, *RUN, *overrides)
    record = run(config, tmp_path / name, [])
    assert record.status == "completed"
    (weights,) = (tmp_path / name / "adapter").glob("*.safetensors")
    return record, load_file(weights)


@pytest.mark.parametrize(
    ("overrides", "tolerance"),
    [
        (["method=full", "optim.accumulate=2"], 1e-4),
        pytest.param(["method=full", "hardware.precision=bf16-mixed"], 2e-2, marks=pytest.mark.slow),
        pytest.param(
            ["method=lora", "method.config.lora_dropout=0.0", "model.gradient_checkpointing=true"],
            1e-4,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_in_pieces_is_the_run(overrides: list[str], tolerance: float, tmp_path: Path) -> None:
    whole, expected = trained(tmp_path, "whole", *overrides, "speed.micro_batch_tokens=null")
    cut, found = trained(tmp_path, "cut", *overrides, "speed.micro_batch_tokens=60")
    assert found.keys() == expected.keys()
    assert (whole.micro_batch_tokens, cut.micro_batch_tokens) == (None, 60)
    distance = sum(float((found[name] - expected[name]).norm()) for name in expected)
    assert distance < tolerance * sum(float(one.norm()) for one in expected.values())
    assert (whole.cost.tokens_seen, whole.cost.examples_seen) == (cut.cost.tokens_seen, cut.cost.examples_seen)
    assert cut.cost.padding_share < whole.cost.padding_share / 2
    assert cut.metrics["instruction"]["test"]["loss"].value == pytest.approx(
        whole.metrics["instruction"]["test"]["loss"].value, rel=tolerance
    )


def test_a_number_counts_as_a_setting_of_the_result_and_auto_where_it_may_cut() -> None:
    def counted(*overrides: str) -> object:
        return determinants(composed(*overrides))["speed"].get("micro_batch_tokens")

    assert counted() == "auto"
    assert counted("loss=contrastive") is None
    assert counted("speed.micro_batch_tokens=99") == 99
    text = ("dataset=chatterbot", "model=smollm2-135m")
    assert counted(*text) == "auto"
    assert counted(*text, "speed.micro_batch_tokens=null") is None
    assert counted(*text, "hardware=fsdp_cpu") is None


@pytest.mark.parametrize(
    ("overrides", "tokens"),
    [
        ((), 1024),
        (("dataset.max_length=2000", "budget.max_length=2000"), 2000),
        (("dataset=chatterbot", "model=smollm2-135m"), 512),
        (("hardware.accelerator=gpu",), None),
        (("hardware.accelerator=mps",), None),
        (("loss=contrastive",), None),
        (("speed.micro_batch_tokens=7",), 7),
    ],
)
def test_auto_depends_on_the_task_and_its_longest_row(overrides: tuple[str, ...], tokens: int | None) -> None:
    config = composed("hardware=cpu", *overrides)
    assert micro_batch_tokens(config, Devices(accelerator=requested_accelerator(config.hardware))) == tokens


@pytest.mark.parametrize(
    ("overrides", "culprit"),
    [
        (["hardware=fsdp_cpu", "dataset=chatterbot", "model=smollm2-135m"], "hardware.strategy=fsdp"),
        (["loss=contrastive"], "loss.contrastive"),
    ],
)
def test_what_cannot_be_cut_is_refused(overrides: list[str], culprit: str) -> None:
    with refused(ConfigError, "speed.micro_batch_tokens", culprit):
        composed(*overrides, "speed.micro_batch_tokens=64")
