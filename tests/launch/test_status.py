"""`ftlab status`: what the records say, without a queue."""

import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.cli.app import main
from ftlab.core.errors import UserError
from ftlab.launch.status import status_table
from ftlab.record import Process, Progress, RunRecord
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused


def add(sweep: Path, name: str, **changes: object) -> None:
    (sweep / name).mkdir(parents=True)
    (sweep / name / "config.yaml").touch()
    if changes:
        record: RunRecord = new_record(composed(), sweep / name, [])
        record.model_copy(update=changes).write(sweep / name)


def test_a_row_for_each_run(tmp_path: Path) -> None:
    elsewhere = Process(host="node-3", pid=4711, started_at=1.0, heartbeat=time.time())
    lost = elsewhere.model_copy(update={"heartbeat": time.time() - 3600})
    progress = Progress(step=40, steps=80, loss=0.25)
    add(tmp_path, "a-waiting")
    add(tmp_path, "b-running", process=elsewhere, progress=progress)
    add(tmp_path, "c-lost", process=lost, progress=progress)
    add(
        tmp_path,
        "d-done",
        status="completed",
        started_at="2026-01-31T12:00:00+00:00",
        finished_at="2026-01-31T13:02:03+00:00",
    )
    console = Console(width=150)
    with console.capture() as shown:
        console.print(status_table(tmp_path))
    rows = [line.split() for line in shown.get().splitlines()[2:]]
    assert rows[0] == ["a-waiting", "waiting"]
    assert rows[1][:4] == ["b-running", "running", "40/80", "0.2500"]
    assert rows[1][-3:] == ["node-3,", "process", "4711"]
    assert rows[2][:3] == ["c-lost", "interrupted", "40/80"]
    assert rows[3] == ["d-done", "completed", "1:02:03"]


def test_one_broken_record_hides_no_other_and_names_are_no_markup(tmp_path: Path) -> None:
    sweep = tmp_path / "a [" / "b]"
    add(sweep, "a-torn", status="completed")
    (sweep / "a-torn" / "record.json").write_text("")
    add(sweep, "b\x1b[2J\nnew", status="completed")
    console = Console(width=400)
    with console.capture() as shown:
        console.print(status_table(sweep))
    lines = shown.get().splitlines()
    assert "".join(line.strip() for line in lines).startswith(str(sweep))
    torn, other = lines[-2:]
    assert torn.split() == ["a-torn", "unreadable"]
    assert "completed" in other
    assert "\x1b" not in other


def test_a_folder_without_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with refused(UserError, tmp_path):
        status_table(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ftlab", "status", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
