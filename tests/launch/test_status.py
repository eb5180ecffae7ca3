"""`ftlab status`: what the records say, without a queue."""

import json
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.cli.app import main
from ftlab.comparison.folder_table import print_folders
from ftlab.core.errors import UserError
from ftlab.launch.job_config import write_job_config
from ftlab.launch.status import status_columns, sweep_status
from ftlab.record import Process, Progress, RunRecord, StageProgress
from ftlab.train.recorder import new_record
from tests.fixtures.compose import composed
from tests.fixtures.refusals import refused


def add(sweep: Path, name: str, **changes: object) -> None:
    (sweep / name).mkdir(parents=True)
    (sweep / name / "config.yaml").touch()
    if changes:
        record: RunRecord = new_record(composed(), sweep / name, [])
        record.model_copy(update=changes).write(sweep / name)


def shown(sweep: Path, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        print_folders(status_columns(sweep_status(sweep)), console, str(sweep))
    return capture.get().splitlines()


def test_a_row_for_each_run(tmp_path: Path) -> None:
    elsewhere = Process(host="node-3", pid=4711, started_at=1.0, heartbeat=time.time())
    lost = elsewhere.model_copy(update={"heartbeat": time.time() - 3600})
    progress = Progress(step=40, steps=80, loss=0.25)
    add(tmp_path, "a-waiting")
    stage = StageProgress(name="validating", done=3, total=16, left_s=75.0)
    add(tmp_path, "b-running", process=elsewhere, progress=progress, stage=stage)
    add(tmp_path, "c-lost", process=lost, progress=progress)
    add(
        tmp_path,
        "d-done",
        status="completed",
        started_at="2026-01-31T12:00:00+00:00",
        finished_at="2026-01-31T13:02:03+00:00",
    )
    rows = [line.split() for line in shown(tmp_path, 150)[2:]]
    assert rows[0] == ["a-waiting", "waiting"]
    assert rows[1][:7] == ["b-running", "running", "validating", "3/16", "0:01:15", "40/80", "0.2500"]
    assert rows[1][-3:] == ["node-3,", "process", "4711"]
    assert rows[2][:3] == ["c-lost", "interrupted", "40/80"]
    assert rows[3] == ["d-done", "completed", "1:02:03"]


def test_one_broken_record_hides_no_other_and_names_are_no_markup(tmp_path: Path) -> None:
    sweep = tmp_path / "a [" / "b]"
    add(sweep, "a-torn", status="completed")
    (sweep / "a-torn" / "record.json").write_text("")
    add(sweep, "b\x1b[2J\nnew", status="completed")
    lines = shown(sweep, 400)
    assert lines[0] == str(sweep)
    torn, other = lines[-2:]
    assert torn.split() == ["a-torn", "unreadable"]
    assert "completed" in other
    assert "\x1b" not in other


def test_a_folder_without_runs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with refused(UserError, tmp_path):
        sweep_status(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ftlab", "status", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("width", [20, 80, 200])
def test_no_width_breaks_the_name_of_a_folder(tmp_path: Path, width: int) -> None:
    name = "lora-smollm2_135m-instruction_files-s0-2b95abdf"
    host = Process(host="node-3.cluster.example.org", pid=4711, started_at=1.0, heartbeat=time.time())
    add(tmp_path, name, process=host, progress=Progress(step=40, steps=80, loss=0.25))
    row = next(line for line in shown(tmp_path, width) if line.startswith("lora"))
    assert row.split()[:2] == [name, "running"]
    assert ("node-3" in row) is (width == 200)


def test_runs_are_told_apart_by_the_settings_that_vary(tmp_path: Path) -> None:
    for seed in (0, 1):
        config = composed("method=lora", f"seed={seed}")
        (tmp_path / f"run-{seed}").mkdir()
        write_job_config(tmp_path / f"run-{seed}", config)
    new_record(composed("method=lora", "seed=1"), tmp_path / "run-1", []).write(tmp_path / "run-1")
    assert [(run.run, run.varies, run.status) for run in sweep_status(tmp_path)] == [
        ("run-0", "seed=0", "waiting"),
        ("run-1", "seed=1", "running"),
    ]


def test_a_configuration_of_somebody_elses_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "kind.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "run").mkdir()
    write_job_config(tmp_path / "run", composed("method=lora"))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(f"kinds: ['{tmp_path / 'kind.py'}']\n{path.read_text()}")
    assert [(run.run, run.varies) for run in sweep_status(tmp_path)] == [("run", "")]


def test_programs_get_json_or_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path, "a-waiting")
    add(tmp_path, "b-done", status="completed", progress=Progress(step=4, steps=4, loss=0.25))
    for flag in ("--json", "--plain"):
        monkeypatch.setattr(sys, "argv", ["ftlab", "status", str(tmp_path), flag])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 0
        output = capsys.readouterr().out
        if flag == "--json":
            waiting, done = json.loads(output)
            assert (waiting["run"], waiting["status"], waiting["step"]) == ("a-waiting", "waiting", None)
            assert (done["run"], done["status"], done["step"], done["loss"]) == ("b-done", "completed", 4, 0.25)
        else:
            lines = [line.split("\t") for line in output.splitlines()]
            assert [line[0] for line in lines] == ["a-waiting", "b-done"]
            assert {len(line) for line in lines} == {len(waiting)}
