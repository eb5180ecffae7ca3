"""Stage of a run in its record, while it runs and where it has failed."""

from pathlib import Path

import pytest

from ftlab.core.run_stage import Stage
from ftlab.record import Progress, RunRecord, StageProgress, read_record
from ftlab.train.recorder import Recorder, new_record
from tests.fixtures.compose import composed


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return new_record(composed(), tmp_path / "sweep" / "run", ["train.py"])


def position(directory: Path) -> tuple[str, int, int | None]:
    stage = read_record(directory).stage
    assert isinstance(stage, StageProgress)
    return stage.name, stage.done, stage.total


def test_the_record_says_what_a_run_is_doing_until_its_end(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    with recorder.record_outcome():
        recorder.stages.begin(Stage.TESTING, 40)
        recorder.stages.advance(12)
        recorder.update()
        assert position(tmp_path) == ("testing", 12, 40)
        recorder.stages.begin(Stage.GENERATING, 1)
        for _ in range(10):
            recorder.stages.advance(0.1)
        recorder.update()
        assert position(tmp_path) == ("writing answers", 1, 1), "though the sum is 0.9999999999999999"
        recorder.progress = lambda: Progress(step=7, steps=9, loss=None)
        recorder.stages.begin(Stage.TRAINING, 1)  # as with a time budget, of which the fraction counts
        recorder.update()
        assert position(tmp_path) == ("training", 7, 9)
    recorder.warn("a tracker fails at its end")
    assert read_record(tmp_path).stage is None


def test_the_record_says_where_a_run_has_failed(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    recorder.stages.begin(Stage.VALIDATING, 9)
    with pytest.raises(MemoryError), recorder.record_outcome():
        raise MemoryError
    assert position(tmp_path) == ("validating", 0, 9)
