"""The sentence on cost: a ratio of times is told only where the seeds and the way of measuring allow it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ftlab.comparison import compare
from ftlab.comparison.render.cost_ratio import cost_sentence
from ftlab.record import find_records
from tests.comparison.factory import add_run

FULL = (100.0, 104.0, 98.0)  # seconds of training, one number for each seed
THREE_DAYS = (78.0, 95.68, 59.78)  # 0.78, 0.92 and 0.61 of them, as one sweep had on three days


def add(
    sweep: Path,
    method: str,
    clock: Sequence[float],
    processor: Sequence[float] | None = None,
    hardware: dict[str, Any] | None = None,
    **settings: Any,
) -> None:
    for seed, seconds in enumerate(clock):
        folder = add_run(sweep, method, seed=seed, settings=settings)
        ((_, record),) = find_records(folder)
        assert record.cost is not None
        assert record.hardware is not None
        cost = record.cost.model_copy(
            update={"train_s": seconds, "train_cpu_s": None if processor is None else processor[seed]}
        )
        device = record.hardware.model_copy(update=hardware or {})
        record.model_copy(update={"cost": cost, "hardware": device}).write(folder)


def sentence(sweep: Path, reference: str = "full") -> str:
    (table,) = compare([sweep], tests=False).tables
    return cost_sentence(table, [row.label for row in table.rows if row.label != reference], reference)


def test_a_ratio_that_varies_from_day_to_day_is_no_finding(tmp_path: Path) -> None:
    add(tmp_path, "full", FULL)
    add(tmp_path, "lora", THREE_DAYS)
    text = sentence(tmp_path)
    assert "not found to differ" in text
    (low, high) = re.findall(r"\[([\d.]+), ([\d.]+)\]", text)[0]
    assert float(low) < 0.61 < 1 < float(high)
    assert "time on the clock" in text


def test_processor_time_is_told_where_it_is_recorded(tmp_path: Path) -> None:
    add(tmp_path, "full", FULL, (200.0, 202.0, 198.0))
    add(tmp_path, "lora", THREE_DAYS, (134.0, 137.0, 132.0))
    assert sentence(tmp_path) == (
        "lora trains 1.29 % of the parameters in 0.67 [0.66, 0.69] of full's training time (processor time; 3 paired "
        "seeds)."
    )


def test_the_work_of_an_accelerator_is_told_by_the_clock(tmp_path: Path) -> None:
    gpu = {"accelerator": "gpu", "device": "A GPU"}
    add(tmp_path, "full", FULL, (9.0, 8.0, 9.0), gpu)
    add(tmp_path, "lora", [0.5 * seconds for seconds in FULL], (9.0, 8.0, 9.0), gpu)
    text = sentence(tmp_path)
    assert "in 0.5 [0.5, 0.5] of full's training time (time on the clock" in text


def test_more_time_for_fewer_parameters_is_told_as_times(tmp_path: Path) -> None:
    add(tmp_path, "full", FULL)
    add(tmp_path, "lora", [2 * seconds for seconds in FULL])
    assert "in 2 [2, 2] times full's training time" in sentence(tmp_path)


def test_the_cheaper_row_is_named_whichever_is_the_reference(tmp_path: Path) -> None:
    add(tmp_path, "full", FULL)
    add(tmp_path, "lora", [0.5 * seconds for seconds in FULL])
    assert sentence(tmp_path, "lora") == sentence(tmp_path, "full")


@pytest.mark.parametrize(
    ("full", "lora", "settings"),
    [
        (FULL[:1], FULL[1:2], {}),  # one seed gives no interval
        ((8.0, 8.1, 8.2), (4.0, 4.1, 4.2), {}),  # seconds
        (FULL, [0.5 * seconds for seconds in FULL], {"budget.max_length": 128}),  # another task for the machine
    ],
)
def test_no_time_is_told(
    tmp_path: Path, full: Sequence[float], lora: Sequence[float], settings: dict[str, Any]
) -> None:
    add(tmp_path, "full", full)
    add(tmp_path, "lora", lora, **settings)
    text = sentence(tmp_path)
    assert "1.29 % of the parameters" in text
    assert "time" not in text


def test_a_row_that_trains_nothing_has_no_time(tmp_path: Path) -> None:
    add(tmp_path, "full", FULL)
    for seed in range(3):
        add_run(tmp_path, "zero_shot", seed=seed)
    assert sentence(tmp_path) == "zero_shot trains 0 % of the parameters."
