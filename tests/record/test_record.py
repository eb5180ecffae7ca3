"""The record is the contract: written whole, read strictly."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from ftlab.config.fingerprint import determinants
from ftlab.core.errors import UserError
from ftlab.core.signals import Paused, Stopped
from ftlab.record import FILE_NAME, Check, Failure, Metric, Progress, RunRecord, find_records, read_record
from ftlab.record.folder import PRUNED
from ftlab.train.recorder import Recorder, new_record
from tests.fixtures.compose import composed
from tests.fixtures.durable_writes import watch_writes
from tests.fixtures.refusals import refused


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return new_record(composed(), tmp_path / "sweep" / "run", ["train.py"])


def test_a_record_survives_writing_and_reading(record: RunRecord, tmp_path: Path) -> None:
    record.write(tmp_path)
    assert read_record(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]  # no partial file is left


def test_a_record_reaches_the_disk_before_its_name_does(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader has the old record or the new one; a sign of life may be the one before."""
    record.write(tmp_path)
    with (tmp_path / FILE_NAME).open() as reader:
        seen = watch_writes(monkeypatch)
        record.model_copy(update={"seed": 7}).write(tmp_path)
        assert json.load(reader)["seed"] == record.seed, "what a reader has open was written over"
    assert seen == ["file", FILE_NAME, "folder"]
    record.write(tmp_path, durably=False)
    assert seen[3:] == ["file", FILE_NAME], "a torn record would be none"


def test_a_record_holds_no_secret(record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cret" * 7)
    assert "s3cret" not in new_record(composed(), Path("a/b"), ["train.py"]).model_dump_json()


def test_a_metric_without_a_value_is_null_with_a_reason(record: RunRecord, tmp_path: Path) -> None:
    metrics = {"text": {"test": {"perplexity": Metric(value=None, n=3, status="overflow")}}}
    record.model_copy(update={"metrics": metrics}).write(tmp_path)
    raw = json.loads((tmp_path / FILE_NAME).read_text())
    assert raw["metrics"]["text"]["test"]["perplexity"] == {
        "value": None,
        "n": 3,
        "status": "overflow",
        "signature": None,
    }


@pytest.mark.parametrize(
    ("content", "culprit"),
    [
        ("{", "JSON"),
        ("[]", "None"),
        ("[" * 100_000, "JSON"),
        ("1" * 10_000, "JSON"),
        ('{"schema_version": 99}', "99"),
        ('{"schema_version": 1}', "run_id"),
    ],
    ids=lambda value: value[:30],
)
def test_a_broken_record_is_named(content: str, culprit: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with refused(UserError, tmp_path / FILE_NAME, culprit):
        read_record(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_record(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / FILE_NAME)
    with refused(UserError, tmp_path / FILE_NAME):
        read_record(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", "somewhere")

    (tmp_path / FILE_NAME).touch()
    monkeypatch.setattr(Path, "read_text", denied)
    with refused(UserError, tmp_path / FILE_NAME, "Permission denied"):
        read_record(tmp_path)


def test_records_are_found_below_any_folder(record: RunRecord, tmp_path: Path) -> None:
    for name in ("a/x", "a/y", "b"):
        record.write(tmp_path / name)
    assert [str(path.relative_to(tmp_path)) for path, _ in find_records(tmp_path)] == ["a/x", "a/y", "b"]
    assert len(find_records(tmp_path, tmp_path / "a")) == 3


def test_a_record_that_cannot_be_read_is_raised_or_handed_over(record: RunRecord, tmp_path: Path) -> None:
    record.write(tmp_path / "good")
    record.write(tmp_path / "bad").write_text("{")
    with refused(UserError, tmp_path / "bad" / FILE_NAME):
        find_records(tmp_path)
    errors: list[UserError] = []
    assert [path.name for path, _ in find_records(tmp_path, onerror=errors.append)] == ["good"]
    assert len(errors) == 1


def test_a_record_says_what_determines_the_result(record: RunRecord) -> None:
    assert record.determinants == determinants(composed())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad"), "failed"),
        (MemoryError(), "oom"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(143), "interrupted"),
    ],
)
def test_however_a_run_ends_the_record_says_so(
    record: RunRecord, tmp_path: Path, error: BaseException, status: str
) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    recorder.progress = lambda: Progress(step=7, steps=9, loss=None)
    with pytest.raises(type(error)), recorder.record_outcome():
        raise error
    end = read_record(tmp_path)
    assert end.status == status
    assert end.failure is not None
    assert end.failure.step == 7
    assert end.finished_at is not None


def test_a_run_that_is_pruned_has_not_failed(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    recorder.progress = lambda: Progress(step=7, steps=9, loss=None)
    (tmp_path / PRUNED).touch()
    with pytest.raises(Stopped), recorder.record_outcome():
        raise Stopped(signal.SIGTERM)
    end = read_record(tmp_path)
    assert (end.status, end.failure, end.progress.step) == ("pruned", None, 7)
    assert end.finished_at is not None
    assert not end.has_failed


def test_an_error_of_a_run_that_is_being_pruned_is_an_error(record: RunRecord, tmp_path: Path) -> None:
    (tmp_path / PRUNED).touch()
    with pytest.raises(ValueError, match="bad"), Recorder(record, tmp_path, active=True).record_outcome():
        raise ValueError("bad")
    assert read_record(tmp_path).status == "failed"


@pytest.mark.parametrize(
    ("status", "failure_type", "read_as"),
    [("failed", "Pruned", "pruned"), ("failed", "RuntimeError", "failed"), ("interrupted", "Stopped", "interrupted")],
)
def test_what_was_pruned_when_that_was_a_failure_is_read_as_pruned(
    record: RunRecord, tmp_path: Path, status: str, failure_type: str, read_as: str
) -> None:
    failure = Failure(type=failure_type, message="stopped because other trials do better at this step")
    record.model_copy(update={"status": status, "failure": failure}).write(tmp_path)
    read = read_record(tmp_path)
    assert read.status == read_as
    assert read.failure == (None if read_as == "pruned" else failure)
    assert read.has_failed is (read_as != "pruned")


@pytest.mark.parametrize(
    ("check", "read_as"), [("passed", "completed"), ("skipped", "completed"), ("failed", "failed")]
)
def test_what_was_completed_with_a_failed_reload_is_read_as_failed(
    record: RunRecord, tmp_path: Path, check: str, read_as: str
) -> None:
    checks = {"reload": Check(status=check, detail="a logit differs by 1.5")}
    record.model_copy(update={"status": "completed", "checks": checks}).write(tmp_path)
    read = read_record(tmp_path)
    assert read.status == read_as
    assert (read.failure is not None) is read.has_failed is (check == "failed")
    assert read.checks == checks


def test_a_run_that_pauses_has_not_failed(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    recorder.progress = lambda: Progress(step=7, steps=9, loss=None)
    with recorder.record_outcome():
        raise Paused
    end = read_record(tmp_path)
    assert (end.status, end.failure, end.progress.step, end.has_failed) == ("paused", None, 7, False)
    assert end.finished_at is not None


def test_a_mistake_of_the_user_is_recorded_without_a_traceback(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=True)
    with pytest.raises(UserError), recorder.record_outcome():
        raise UserError("no column text")
    failure = read_record(tmp_path).failure
    assert failure is not None
    assert (failure.message, failure.traceback) == ("no column text", None)


def test_other_ranks_write_nothing(record: RunRecord, tmp_path: Path) -> None:
    recorder = Recorder(record, tmp_path, active=False)
    with recorder.record_outcome():
        recorder.warn("unseen")
    assert list(tmp_path.iterdir()) == []


def running(record: RunRecord, **process: object) -> RunRecord:
    assert record.process is not None
    return record.model_copy(update={"status": "running", "process": record.process.model_copy(update=process)})


def test_running_is_said_of_a_living_process_alone(record: RunRecord, tmp_path: Path) -> None:
    running(record).write(tmp_path)
    assert read_record(tmp_path).status == "running"
    running(record, started_at=1.0).write(tmp_path)  # another process has got its number
    assert read_record(tmp_path).status == "interrupted"


def test_a_zombie_does_not_live(record: RunRecord, tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    started_at = psutil.Process(child.pid).create_time()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    running(record, pid=child.pid, started_at=started_at).write(tmp_path)
    assert read_record(tmp_path).status == "interrupted"
    child.wait()


def test_of_another_machine_the_signs_of_life_count(
    record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftlab.record.reading.time", SimpleNamespace(time=lambda: 10_000.0))
    for age, status in ((1, "running"), (600, "interrupted")):
        running(record, host="elsewhere", heartbeat=10_000.0 - age).write(tmp_path)
        assert read_record(tmp_path).status == status


def test_a_run_gives_signs_of_life(record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlab.train.recorder.HEARTBEAT_SECONDS", 0.01)
    recorder = Recorder(record, tmp_path, active=True)
    recorder.progress = lambda: Progress(step=3, steps=9, loss=0.5)
    with recorder.record_outcome():
        first = read_record(tmp_path).process.heartbeat
        deadline = time.monotonic() + 300
        while (seen := read_record(tmp_path)).process.heartbeat == first or seen.progress is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert seen.progress.step == 3


def test_a_record_from_before_there_were_kinds_says_what_its_predictions_are(record: RunRecord, tmp_path: Path) -> None:
    values = json.loads(record.write(tmp_path).read_text(encoding="utf-8"))
    assert values.pop("predicts") == "class"
    part = {"share": 0.5, "rows": {"train": 1}}
    parts = {"a": {"task": "token_classification", **part}, "b": {"task": "regression", **part}}
    for task, expected in (("multilabel", "labels"), ("masked_lm", "tokens"), ("mixture", "other"), ("new", "other")):
        older = {**values, "task": task, "data": {"hash": "0", "rows": {}, "parts": parts}}
        (tmp_path / FILE_NAME).write_text(json.dumps(older), encoding="utf-8")
        read = read_record(tmp_path)
        assert read.predicts == expected
        assert read.data is not None
        assert [member.predicts for member in read.data.parts.values()] == ["tags", "numbers"]
    (tmp_path / FILE_NAME).write_text(json.dumps({**values, "predicts": "anything"}), encoding="utf-8")
    with refused(UserError, FILE_NAME, "predicts"):
        read_record(tmp_path)
