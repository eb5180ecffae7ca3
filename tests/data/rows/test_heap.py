"""Memory does not grow with the data."""

import sys
from pathlib import Path

import pytest

from benchmarks.memory_of_reading import measured, write_rows

SMALL, LARGE = 10, 100  # MB
BOUND = 0.5  # of what the files differ by


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_ten_times_the_data_is_not_ten_times_the_memory(tmp_path: Path) -> None:
    peaks = {}
    for size in (SMALL, LARGE):
        rows = tmp_path / f"{size}.jsonl"
        write_rows(rows, size)
        (tmp_path / f"{size}").mkdir()
        found = measured(tmp_path / f"{size}", rows, "run", "classification")
        peaks[size] = sum(found["trained"][:2]) - sum(found["loaded"][:2])
    assert peaks[LARGE] - peaks[SMALL] < BOUND * (LARGE - SMALL) * 1e6
