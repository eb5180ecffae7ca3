"""Patched forward passes are in place while a model trains, however training ends."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftlab.config.fingerprint import determinants
from ftlab.train.speedups import quick_dropout
from ftlab.train.speedups.cls_only_last_block import ClsOnlyLastBlock
from ftlab.train.speedups.patched_forward import PatchedForward
from tests.fixtures.compose import composed
from tests.train.callback_runs import run_tiny


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_it_begins_with_the_first_step_and_ends_however_training_does(end: str) -> None:
    seen: list[str] = []

    @contextmanager
    def context() -> Iterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    callback: Any = PatchedForward(context)
    for attempt in (1, 2):  # training may begin again
        callback.on_train_start(None, None)
        assert seen == ["in", "out"] * (attempt - 1) + ["in"]
        getattr(callback, end)(*[None] * (2 if end == "on_train_end" else 3))
        assert seen == ["in", "out"] * attempt


def test_dropout_is_drawn_quickly_where_it_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shortened: list[ClsOnlyLastBlock],
    stored: Counter[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A frozen prefix with dropout is not cached, and a decoder has no block to shorten."""
    drawn: list[float] = []
    plain = quick_dropout.dropout_16bit
    monkeypatch.setattr(
        quick_dropout, "dropout_16bit", lambda states, rate: (drawn.append(rate), plain(states, rate))[1]
    )
    common = ("model.dropout=0.1", "model.frozen_dropout=true", "robustness=none")
    quick = run_tiny("bert", "head", tmp_path / "quick", *common)
    assert set(drawn) == {0.1}
    assert not stored
    assert quick.cost.spared_flops == 0
    assert "dropout" in next(line for line in capsys.readouterr().out.splitlines() if "frozen" in line)
    drawn.clear()
    torchs = ("speed.dropout=torch", "speed.last_block=auto")
    slow = run_tiny("gpt2", "full", tmp_path / "slow", *common, *torchs)
    assert not drawn
    assert not shortened
    assert quick.status == slow.status == "completed"


def test_how_dropout_is_drawn_is_part_of_what_a_run_is() -> None:
    assert determinants(composed())["speed"]["dropout"] == "auto"
    assert determinants(composed()) != determinants(composed("speed.dropout=torch"))
    assert "speed" not in determinants(composed("method=majority"))  # a floor has none
