"""A run whose last block is worked out for one token is the run that works it out for all."""

from pathlib import Path

import pytest

from ftlab.fingerprint import determinants
from tests.callbacks.test_trunk import compare, filled, run_tiny
from tests.fixtures.compose import composed

TOLD = "last block: worked out for the first token alone"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("last_block"), "bert", "gpt2", "t5")


@pytest.mark.parametrize(
    ("method", "overrides"),
    [
        ("full", ()),
        pytest.param("lora", ("method.config.lora_dropout=0", "optim.accumulate=2"), marks=pytest.mark.slow),
        pytest.param("partial", ("method.layers=1",), marks=pytest.mark.slow),  # above a trunk that is kept
        pytest.param("full", ("model.gradient_checkpointing=true", "loss=contrastive"), marks=pytest.mark.slow),
    ],
)
def test_the_run_is_the_same(
    method: str, overrides: tuple[str, ...], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("model.dropout=0.0", "optim.lr=1e-3", *overrides)
    short = run_tiny(folder, "bert", method, tmp_path / "short", *settings, "speed.last_block=auto")
    assert TOLD in capsys.readouterr().out
    whole = run_tiny(folder, "bert", method, tmp_path / "whole", *settings)
    assert TOLD not in capsys.readouterr().out
    compare(tmp_path / "short", tmp_path / "whole", (short, whole))
    assert short.fingerprint != whole.fingerprint  # with dropout they would not be the same
    assert short.cost is not None
    assert whole.cost is not None
    assert whole.cost.spared_flops < short.cost.spared_flops < short.cost.training_flops


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("bert", "head"),  # what is kept of the trunk is the whole base
        ("gpt2", "full"),
        ("t5", "prompt_head"),  # answers in writing
    ],
)
def test_where_it_spares_nothing_nothing_is_said(
    kind: str, method: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frozen_dropout = "false" if kind == "bert" else "true"
    overrides = ("speed.last_block=auto", f"model.frozen_dropout={frozen_dropout}")
    record = run_tiny(folder, kind, method, tmp_path, *overrides)
    assert TOLD not in capsys.readouterr().out
    assert record.status == "completed"


def test_it_counts_as_a_setting_of_the_result_where_it_may_be_one() -> None:
    def counted(*overrides: str) -> object:
        return determinants(composed(*overrides)).get("speed", {}).get("last_block")

    assert counted() == "auto"
    assert counted("speed.last_block=all") is None
    assert counted("method=zero_shot") is None
    assert counted("hardware=fsdp_cpu") is None
    assert counted("dataset=token_files", "dataset.source.train=rows.conll") is None
