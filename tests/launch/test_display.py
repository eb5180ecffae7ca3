"""Display of jobs while they run."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from ftlab.config.run_config import validate
from ftlab.launch.display import Display
from ftlab.launch.executor import Job
from ftlab.record import Metric, MetricColumn, Progress, RunRecord, StageProgress, read_record
from ftlab.record.checkpoints import FOLDER, checkpoint_path
from tests.comparison.factory import add_run
from tests.record.test_training_plan import PLAN


def test_what_was_found_out_about_the_data_is_told_once(tmp_path: Path) -> None:
    line = "detected: alpaca, 999 rows (prompt: instruction, response: output, input: input)"
    stream = io.StringIO()
    with Display(Console(file=stream, width=40), total=2) as display:
        for method in ("lora", "full"):
            record = read_record(add_run(tmp_path, method))
            assert record.data is not None
            record = record.model_copy(update={"data": record.data.model_copy(update={"notes": [line]})})
            job = Job(validate(record.config), tmp_path / method, [])
            display.started(job)
            display.update(job, record)
            display.ended(job, record)
    assert stream.getvalue().splitlines().count(f"  {line}") == 1


def test_warnings_and_what_is_trained_on_are_told_once_and_while_it_can_still_be_stopped(tmp_path: Path) -> None:
    warning = "87% of the 1,280 training rows are longer than 64 tokens and cut, 104 of them left out"
    stream = io.StringIO()
    with Display(Console(file=stream, width=40), total=3) as display:
        for method, lr in (("lora", 2e-4), ("lora", 2e-4), ("full", 5e-5)):
            plan = PLAN.model_copy(update={"lr": lr})
            record = read_record(add_run(tmp_path, method, status="running"))
            job = Job(validate(record.config), tmp_path / method, [])
            display.started(job)
            assert record.data is not None
            changes = {"data": record.data.model_copy(update={"row_warnings": [warning]}), "training_plan": plan}
            display.update(job, record.model_copy(update={"warnings": [warning], **changes}))
            assert f"  warning: {warning}\n" in stream.getvalue()
            assert f"  training on {PLAN}, learning rate {lr:g}\n" in stream.getvalue()
            ended = {"status": "completed", "warnings": [warning, f"of {method}"], **changes}
            display.ended(job, record.model_copy(update=ended))
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "warning" in line] == [
        *(f"  warning: {warning}", "  warning: of lora", "  warning: of full")
    ]
    assert [line.rsplit(" ", 1)[1] for line in lines if "training on" in line] == ["0.0002", "5e-05"]


def test_the_end_of_a_mixture_tells_the_metrics_of_its_parts(tmp_path: Path) -> None:
    record = read_record(add_run(tmp_path, "lora"))
    columns = [MetricColumn(metric="trec/accuracy", label="trec accuracy", higher_is_better=True)]
    metrics = {"mixture": {"test": {}}, "trec": {"test": {"accuracy": Metric(value=0.875, n=500)}}}
    record = record.model_copy(update={"task": "mixture", "columns": columns, "metrics": metrics})
    stream = io.StringIO()
    with Display(Console(file=stream, width=40), total=1) as display:
        job = Job(validate(record.config), tmp_path / "lora", [])
        display.started(job)
        display.ended(job, record)
    (line,) = [line for line in stream.getvalue().splitlines() if "completed" in line]
    assert "trec accuracy 0.8750" in line


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def running(record: RunRecord, stage: str, **position: int) -> RunRecord:
    changes = {"status": "running", "stage": StageProgress(name=stage, **position), "process": None}
    return record.model_copy(update=changes)


def test_a_log_file_gets_the_stages_no_more_often_than_every_half_minute(tmp_path: Path) -> None:
    record = read_record(add_run(tmp_path, "lora"))
    job, stream, clock = Job(validate(record.config), tmp_path / "lora", []), io.StringIO(), Clock()
    with Display(Console(file=stream, width=40), total=1, clock=clock) as display:
        display.started(job)
        for clock.now, stage in ((10, "loading"), (31, "tokenising"), (40, "training"), (62, "testing")):
            display.update(job, running(record, stage, done=3, total=16))
        display.ended(job, record)
    lines = [line for line in stream.getvalue().splitlines() if "3/16" in line]
    assert lines == ["  lora: tokenising 3/16", "  lora: testing 3/16"]


def test_jobs_are_named_by_what_varies_and_the_sweep_has_a_line(tmp_path: Path) -> None:
    stream, clock = io.StringIO(), Clock()
    labels = {"full": "full seed=1", "lora": "lora seed=0"}
    with Display(Console(file=stream, width=40), total=2, labels=labels, clock=clock) as display:
        for method in ("lora", "full"):
            record = read_record(add_run(tmp_path, method))
            job = Job(validate(record.config), tmp_path / method, [])
            display.started(job)
            clock.now += 60
            display.ended(job, record)
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if line.startswith("[")] == ["[1/2] lora  lora seed=0", "[2/2] full  full seed=1"]
    sweep = [line for line in lines if line.startswith("sweep")]
    assert sweep[0] == "sweep: 1/2 jobs done, 0:01:00 elapsed, about 0:01:00 left"
    assert sweep[1:] == ["sweep: 2/2 jobs done, 0:02:00 elapsed"]


def test_a_job_that_resumes_says_so_when_it_starts(tmp_path: Path) -> None:
    record = read_record(add_run(tmp_path, "lora"))
    job, stream = Job(validate(record.config), tmp_path / "lora", []), io.StringIO()
    (tmp_path / "lora" / FOLDER).mkdir(parents=True)
    checkpoint_path(tmp_path / "lora" / FOLDER, 12).touch()
    with Display(Console(file=stream, width=40), total=1) as display:
        display.started(job)
    assert "  resuming at step 12" in stream.getvalue().splitlines()


def test_of_an_earlier_attempt_nothing_is_shown_as_going_on(tmp_path: Path) -> None:
    record = read_record(add_run(tmp_path, "lora"))
    earlier = record.model_copy(
        update={"status": "interrupted", "progress": Progress(step=3, steps=9, loss=None), "stage": None}
    )
    job, stream, clock = Job(validate(record.config), tmp_path / "lora", []), io.StringIO(), Clock()
    with Display(Console(file=stream, width=40), total=1, clock=clock) as display:
        display.started(job)
        clock.now += 60
        display.update(job, earlier)
    assert "3/9" not in stream.getvalue()


def test_an_error_is_no_line_that_the_live_lines_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_record(add_run(tmp_path, "lora", status="failed"))
    job, terminal, errors = Job(validate(record.config), tmp_path / "lora", []), io.StringIO(), io.StringIO()
    for is_terminal in (True, False):
        errors.isatty = lambda is_terminal=is_terminal: is_terminal  # type: ignore[method-assign]
        monkeypatch.setattr("sys.stderr", errors)
        with Display(Console(file=terminal, width=40, force_terminal=True), total=1) as display:
            display.started(job)
            display.ended(job, record)
        assert ("error: " in terminal.getvalue(), "error: " in errors.getvalue()) == (True, not is_terminal)
