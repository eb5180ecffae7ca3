"""`ftlab compare --watch`: what makes a new comparison, and when it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ftlab.comparison import compare
from ftlab.comparison.watching import CURVES_SECONDS, IDLE_SECONDS, POLL_SECONDS, RunStates, updated_comparisons
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, Process, read_record
from ftlab.record.folder import CONFIG
from tests.comparison.factory import add_run, configuration, demo
from tests.fixtures.refusals import refused

HERE = Process(host="another-machine", pid=1, started_at=1.0, heartbeat=time.time() + 3600)


class Clock:
    """Time that passes only in `sleep`; what is planned for a moment happens in it."""

    def __init__(self, plan: dict[float, Callable[[], object]] | None = None) -> None:
        self.now, self.plan = 0.0, dict(plan or {})

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.plan if moment <= self.now]:
            self.plan.pop(moment)()


def watch(sweep: Path, clock: Clock) -> list[tuple[float, dict[str, str]]]:
    """Return when a comparison was made, and the status of each run then."""
    return [
        (clock.now, {run.record.method: run.record.status for run in comparison.runs})
        for comparison in updated_comparisons(partial(compare, [sweep]), [sweep], clock=clock, sleep=clock.sleep)
    ]


def finish(folder: Path) -> None:
    record = read_record(folder)
    record.model_copy(update={"status": "interrupted", "finished_at": record.started_at}).write(folder)


def beat(folder: Path) -> None:
    record = read_record(folder)
    assert record.process is not None
    process = record.process.model_copy(update={"heartbeat": record.process.heartbeat + 1})
    record.model_copy(update={"process": process}).write(folder)


def running(sweep: Path) -> Path:
    return add_run(sweep, "lora", status="running", changes={"process": HERE})


def test_what_is_complete_is_shown_once(tmp_path: Path) -> None:
    clock = Clock()
    assert [moment for moment, _ in watch(demo(tmp_path), clock)] == [0.0]
    assert clock.now == 0.0


def test_a_sign_of_life_makes_no_new_comparison_and_an_end_does(tmp_path: Path) -> None:
    folder = running(tmp_path)
    clock = Clock({4.0: lambda: beat(folder), 10.0: lambda: finish(folder)})
    assert watch(tmp_path, clock) == [(0.0, {"lora": "running"}), (10.0, {"lora": "interrupted"})]


def test_curves_of_a_running_run_are_drawn_again_now_and_then(tmp_path: Path) -> None:
    folder = running(tmp_path)
    clock = Clock({2.5 * CURVES_SECONDS: lambda: finish(folder)})
    moments = [moment for moment, _ in watch(tmp_path, clock)]
    assert len(moments) == 4
    assert all(later - earlier >= POLL_SECONDS for earlier, later in pairwise(moments))


def test_a_job_that_waits_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / CONFIG).touch()
    clock = Clock({20.0: lambda: add_run(tmp_path, "full", name="next")})
    assert watch(tmp_path, clock) == [(20.0, {"full": "completed"})]


def test_jobs_of_a_sweep_that_was_stopped_are_not_waited_for_without_end(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / CONFIG).touch()
    clock = Clock()
    assert [moment for moment, _ in watch(tmp_path, clock)] == [0.0]
    assert IDLE_SECONDS <= clock.now <= IDLE_SECONDS + POLL_SECONDS


def test_no_test_is_shown_before_the_last_run_is_in(tmp_path: Path) -> None:
    add_run(tmp_path, "full")
    folder = running(tmp_path)
    waiting = tmp_path / "next" / CONFIG
    waiting.parent.mkdir()
    waiting.write_text(yaml.safe_dump(configuration("prefix", 1e-2, 0)))
    clock = Clock(
        {
            4.0: lambda: add_run(tmp_path, "lora", name=folder.name),
            8.0: lambda: add_run(tmp_path, "prefix", name="next"),
            9.0: waiting.unlink,
        }
    )
    comparisons = list(updated_comparisons(partial(compare, [tmp_path]), [tmp_path], clock=clock, sleep=clock.sleep))
    assert [len(comparison.configurations) for comparison in comparisons] == [1, 2, 3]
    assert [comparison.tables[0].family is not None for comparison in comparisons] == [False, False, True]


def test_runs_are_waited_for_while_a_search_has_only_trials(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", name="trial-a", changes={"role": "trial"})
    clock = Clock({20.0: lambda: add_run(tmp_path, "full")})
    assert watch(tmp_path, clock) == [(20.0, {"full": "completed"})]


def test_trials_without_a_run_that_follows_are_told(tmp_path: Path) -> None:
    add_run(tmp_path, "lora", name="trial-a", changes={"role": "trial"})
    clock = Clock()
    with refused(UserError, "trials"):
        watch(tmp_path, clock)
    assert clock.now >= IDLE_SECONDS


def test_a_record_that_stays_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo(tmp_path)
    read: list[Path] = []
    monkeypatch.setattr(
        "ftlab.comparison.watching.read_record", lambda folder: read.append(folder) or read_record(folder)
    )
    states = RunStates([tmp_path])
    assert states.read() == states.read()
    assert len(read) == 3


def test_a_folder_without_runs_is_told(tmp_path: Path) -> None:
    with refused(UserError, tmp_path, "record.json"):
        list(updated_comparisons(partial(compare, [tmp_path]), [tmp_path]))
    with refused(UserError, tmp_path / "none"):
        list(updated_comparisons(partial(compare, [tmp_path / "none"]), [tmp_path / "none"]))


def test_ctrl_c_ends_the_command_well_and_the_files_are_there(tmp_path: Path) -> None:
    running(tmp_path)
    command = [sys.executable, "-m", "ftlab", "compare", "--watch", str(tmp_path)]
    files = ["comparison.md", "comparison.csv", "comparison.tex", "comparison.json", "report.html"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = iter(process.stdout.readline, "")
        assert any("report.html" in line for line in told)  # the last file; from then on it waits
        os.kill(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert out.strip()
    assert all((tmp_path / file).exists() for file in files)
    assert (next(tmp_path.glob("*/")) / FILE_NAME).exists()
