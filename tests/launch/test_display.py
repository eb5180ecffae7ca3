"""Display of jobs while they run."""

import io
from pathlib import Path

from rich.console import Console

from ftlab.config.run_config import validate
from ftlab.launch.display import Display
from ftlab.launch.executor import Job
from ftlab.record import Metric, MetricColumn, read_record
from tests.comparison.factory import add_run


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
