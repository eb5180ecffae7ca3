"""What stands in for a part of a model does so while it trains, however training ends."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftlab.callbacks.last_block import OneToken
from ftlab.callbacks.standing_in import StandingIn
from ftlab.fingerprint import determinants
from ftlab.models import dropout
from tests.callbacks.runs import run_tiny
from tests.fixtures.compose import composed


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_it_begins_with_the_first_step_and_ends_however_training_does(end: str) -> None:
    seen: list[str] = []

    @contextmanager
    def context() -> Iterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    callback: Any = StandingIn(context)
    for attempt in (1, 2):  # training may begin again
        callback.on_train_start(None, None)
        assert seen == ["in", "out"] * (attempt - 1) + ["in"]
        getattr(callback, end)(*[None] * (2 if end == "on_train_end" else 3))
        assert seen == ["in", "out"] * attempt


def test_dropout_is_drawn_quickly_where_it_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shortened: list[OneToken],
    stored: Counter[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two runs that show more by the way: a trunk with dropout is not kept, and a decoder has no block to shorten."""
    drawn: list[float] = []
    plain = dropout.dropped
    monkeypatch.setattr(dropout, "dropped", lambda states, rate: (drawn.append(rate), plain(states, rate))[1])
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
