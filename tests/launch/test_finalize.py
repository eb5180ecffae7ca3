"""Final status of a job whose result was no longer needed."""

from pathlib import Path

import pytest

from ftlab.launch.executor import Job, Outcome
from ftlab.launch.finalize import finalized
from ftlab.record import Failure, Status, read_record
from ftlab.record.folder import PRUNED
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("running", "pruned"),
        ("interrupted", "pruned"),
        ("paused", "pruned"),
        ("pruned", "pruned"),
        ("completed", "completed"),
        ("failed", "failed"),  # on its own, while it was asked to stop: the error is not lost
        ("oom", "oom"),
    ],
)
def test_a_pruned_job_keeps_an_end_of_its_own(status: Status, becomes: Status, tmp_path: Path) -> None:
    config = composed()
    ended = Failure(type="RuntimeError", message="loss is nan") if status in ("failed", "oom") else None
    record = new_record(config, tmp_path, []).model_copy(update={"status": status, "failure": ended})
    record.write(tmp_path)
    (tmp_path / PRUNED).touch()
    final = finalized(Job(config, tmp_path, []), Outcome(exit_codes=(1,), stop_reason="pruned"))
    assert (final.status, final.failure) == (becomes, ended)
    assert read_record(tmp_path) == final
    assert not (tmp_path / PRUNED).exists()
