"""What stands in for a part of a model does so while it trains, however training ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftlab.callbacks.standing_in import StandingIn
from ftlab.fingerprint import determinants
from ftlab.models import dropout
from tests.callbacks.test_trunk import filled, run_tiny
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


def test_dropout_is_drawn_quickly_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = filled(tmp_path / "models", "bert")
    drawn: list[float] = []
    plain = dropout.dropped
    monkeypatch.setattr(dropout, "dropped", lambda states, rate: (drawn.append(rate), plain(states, rate))[1])
    quick = run_tiny(folder, "bert", "full", tmp_path / "quick", "model.dropout=0.1")
    assert set(drawn) == {0.1}
    drawn.clear()
    slow = run_tiny(folder, "bert", "full", tmp_path / "slow", "model.dropout=0.1", "speed.dropout=torch")
    assert not drawn
    assert quick.status == slow.status == "completed"
    assert quick.fingerprint != slow.fingerprint


def test_a_floor_has_no_dropout_and_does_not_ask_for_any() -> None:
    assert determinants(composed())["speed"]["dropout"] == "auto"
    assert "speed" not in determinants(composed("method=majority"))
