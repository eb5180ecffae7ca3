"""A run whose last block is worked out for one token is the run that works it out for all."""

from collections import Counter
from pathlib import Path

import pytest

from ftlab.config.fingerprint import determinants
from ftlab.train.speedups.activation_store import InMemory
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock
from tests.fixtures.compose import composed
from tests.train.callback_runs import compare, run_tiny


@pytest.mark.parametrize(
    ("method", "overrides"),
    [
        ("full", ()),
        # above a frozen prefix that is kept
        pytest.param("partial", ("method.layers=1", "optim.accumulate=2"), marks=pytest.mark.slow),
        pytest.param("full", ("model.gradient_checkpointing=true", "loss=contrastive"), marks=pytest.mark.slow),
    ],
)
def test_the_run_is_the_same(
    method: str,
    overrides: tuple[str, ...],
    tmp_path: Path,
    shortened: list[ClsOnlyLastBlock],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = ("model.dropout=0.0", "optim.lr=1e-3", *overrides)
    short = run_tiny("bert", method, tmp_path / "short", *settings, "speed.last_block=auto")
    assert len(shortened) == 1
    assert "last block" in capsys.readouterr().out
    whole = run_tiny("bert", method, tmp_path / "whole", *settings)
    assert len(shortened) == 1
    assert "last block" not in capsys.readouterr().out
    compare(tmp_path / "short", tmp_path / "whole", (short, whole))
    assert short.fingerprint != whole.fingerprint  # with dropout they would not be the same
    assert short.cost is not None
    assert whole.cost is not None
    assert whole.cost.spared_flops < short.cost.spared_flops < short.cost.training_flops


def test_a_last_block_that_is_kept_whole_is_not_shortened(
    tmp_path: Path, shortened: list[ClsOnlyLastBlock], stored: Counter[str]
) -> None:
    """Below a head alone, all of the base is frozen, and its states are kept: here in memory.

    Models without a block to shorten stand in test_standing_in.py (a decoder) and tests/methods/test_baselines.py (an
    encoder-decoder that answers with words).
    """
    record = run_tiny("bert", "head", tmp_path, "speed.last_block=auto", "robustness=none")
    assert record.status == "completed"
    assert not shortened
    assert set(stored) == {InMemory.location}
    assert record.cost.spared_flops > 0


def test_it_counts_as_a_setting_of_the_result_where_it_may_be_one() -> None:
    def counted(*overrides: str) -> object:
        return determinants(composed(*overrides)).get("speed", {}).get("last_block")

    assert counted() == "auto"
    assert counted("speed.last_block=all") is None
    assert counted("method=zero_shot") is None
    assert counted("hardware=fsdp_cpu") is None
    assert counted("dataset=token_files", "dataset.source.train=rows.conll") is None
