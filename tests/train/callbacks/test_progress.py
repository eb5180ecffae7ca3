"""Stages of a run, as its log and its record name them."""

from pathlib import Path

import pytest

from ftlab.core.run_stage import Stage, StagePosition, StageTracker
from tests.train.callback_runs import run_tiny


def test_a_run_names_its_stages_and_counts_in_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ends: dict[Stage, StagePosition] = {}
    advance = StageTracker.advance

    def advance_and_note(tracker: StageTracker, number: float = 1) -> None:
        advance(tracker, number)
        ends[tracker.position.stage] = tracker.position

    monkeypatch.setattr(StageTracker, "advance", advance_and_note)
    record = run_tiny("bert", "head", tmp_path / "run", "hardware.measure_latency=true", "robustness.rows=4")
    lines = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines() if "  " in line]
    words = [stage.value for stage in Stage]
    order = [*("loading", "tokenising", "caching frozen layers", "training", "validating", "testing", "robustness")]
    assert [line for line in lines if line in words] == [*order, "saving", "measuring latency", "checking"]
    counted = (Stage.TOKENISING, Stage.CACHING, Stage.TRAINING, Stage.VALIDATING, Stage.TESTING)
    assert [ends[stage].done == ends[stage].total for stage in counted] == [True] * len(counted)
    assert ends[Stage.TRAINING].total == record.progress.steps
    assert record.stage is None
