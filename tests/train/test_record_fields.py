"""Record fields: what the callbacks of a run found is in its record."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch import Callback, Trainer

from ftlab import trackers
from ftlab.core.callback import RunCallback
from ftlab.methods.partial import Full
from ftlab.record import Check
from ftlab.record.checkpoints import FOLDER
from ftlab.train.record_fields import of_callbacks
from tests.train.callback_runs import run_tiny


class _Finds(RunCallback):
    """Finds what it is told to find."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def record_fields(self, trainer: Trainer) -> dict[str, Any]:
        return self.fields


def _united(*fields: dict[str, Any]) -> dict[str, Any]:
    trainer: Any = SimpleNamespace(callbacks=[*(_Finds(**one) for one in fields), Callback()])
    return of_callbacks(trainer)


def test_mappings_are_united_and_lists_joined() -> None:
    fields = [{"checks": {"a": 1}, "warnings": ["x"]}, {}, {"checks": {"b": 2}, "warnings": ["y"], "cost": 3}]
    assert _united(*fields) == {"checks": {"a": 1, "b": 2}, "warnings": ["x", "y"], "cost": 3}
    assert fields[0] == {"checks": {"a": 1}, "warnings": ["x"]}, "what a callback returned is not changed"
    assert _united() == {"warnings": []}


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), ({"a": 1}, {"a": 2}), (None, {"a": 1}), ({"a": 1}, None), ([1], {"a": 1})]
)
def test_what_is_filled_in_already_stays_and_is_told(one: object, other: object) -> None:
    united = _united({"checks": one}, {"checks": other})
    assert united["checks"] == one
    (warning,) = united["warnings"]
    assert [word for word in ("checks", "_Finds") if word not in warning] == []


def test_a_field_that_is_no_callbacks_is_told() -> None:
    united = _united({"metrics": {}, "samples": [1]})
    assert set(united) == {"samples", "warnings"}
    (warning,) = united["warnings"]
    assert "metrics" in warning


def test_a_run_records_what_callbacks_found_warns_of_it_and_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Check(status="passed", detail="seen")
    callbacks = [_Finds(checks={"mine": mine}, warnings=["look at this"]), _Finds(checks={"gradients": mine})]
    finished: list[str] = []
    monkeypatch.setattr(Full, "callbacks", lambda self: callbacks)
    monkeypatch.setattr(trackers, "finish_run", lambda loggers, record, directory: finished.append(record.status))
    record = run_tiny("bert", "full", tmp_path)
    assert finished == ["completed"]
    assert list(record.checks) == ["gradients", "frozen_unchanged", "mine", "reload"]
    assert record.checks["gradients"].detail != "seen"
    told = [warning for warning in record.warnings if warning == "look at this" or "_Finds" in warning]
    assert len(told) == 2
    printed = capsys.readouterr().out
    assert all(warning in printed for warning in told)
    assert record.cost.setup_s > 0
    assert not (tmp_path / FOLDER).exists(), "checkpoints are for a run that goes on"
