"""Details of a run in the report: what its record says of time."""

from pathlib import Path

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.details import run_details
from ftlab.record import read_record
from tests.comparison.factory import add_run


@pytest.mark.parametrize(
    ("phases", "tokens", "told"),
    [
        ({}, None, None),  # of an older version
        ({"setup": 4.1, "train": 10.0, "eval": 2.0}, None, None),
        ({"generate": 3.2}, 512, "generate 3.2 s for 512 tokens (160 tokens/s)"),
        ({"generate": 0.0, "reward": 1.25}, 0, "generate 0.0 s for 0 tokens, reward 1.2 s"),
        ({"generate": 2.0}, None, "generate 2.0 s"),
    ],
)
def test_phases_besides_the_main_ones_are_told(
    phases: dict[str, float], tokens: int | None, told: str | None, tmp_path: Path
) -> None:
    folder = add_run(tmp_path, "lora")
    record = read_record(folder)
    cost = record.cost.model_copy(update={"phases": phases, "generated_tokens": tokens})
    record.model_copy(update={"cost": cost}).write(folder)
    ((run,),) = (row.runs for table in compare([tmp_path]).tables for row in table.rows)
    assert run_details(run, tmp_path).facts.get("of this time") == told
