"""What is told of jobs while they run."""

import io
from pathlib import Path

from rich.console import Console

from ftlab.launch.display import Display
from ftlab.launch.job import Job
from ftlab.record import read_record
from ftlab.schema import validate
from tests.compare.factory import add_run


def test_what_was_found_out_about_the_data_is_told_once(tmp_path: Path) -> None:
    line = "detected: alpaca, 999 rows (prompt: instruction, response: output, input: input)"
    stream = io.StringIO()
    with Display(Console(file=stream, width=40), total=2) as display:
        for method in ("lora", "full"):
            record = read_record(add_run(tmp_path, method))
            assert record.data is not None
            record = record.model_copy(update={"data": record.data.model_copy(update={"notes": [line]})})
            job = Job(validate(record.config), tmp_path / method)
            display.started(job)
            display.follow(job, record)
            display.ended(job, record)
    assert stream.getvalue().splitlines().count(f"  {line}") == 1
