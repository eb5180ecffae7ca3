"""Runs of three epochs on a tiny model, and the comparison of two that must have the same results."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.record import RunRecord
from ftlab.train.run import run
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.finished_runs import rows_for

EPOCHS = ("budget.steps=null", "budget.epochs=3", "budget.validations=1", "budget.train_rows=20")


def run_tiny(kind: str, method: str, directory: Path, *overrides: str) -> RunRecord:
    """Return the record of a run whose frozen part has no dropout, unless the overrides say otherwise."""
    settings = [
        f"method={method}",
        "model=hf",
        f"model.name={tiny(kind)}",
        "model.frozen_dropout=false",
        "dataset=text_files",
        f"dataset.source.train={rows_for('text_files')}",
        *("budget=smoke", *EPOCHS, "optim.batch_size=8", "tracker=none", "hardware=cpu"),
        "hardware.measure_latency=false",
        "speed.last_block=all",  # what that spares is another test's
    ]
    return run(composed(*settings, *overrides), directory, [])


def compare(found: Path, expected: Path, records: tuple[RunRecord, RunRecord]) -> None:
    """Assert that two runs answered the same rows with the same losses, to 1e-5 of them."""
    ours, theirs = (pq.read_table(path / "predictions.parquet").to_pylist() for path in (found, expected))
    assert ours
    assert [row["example_id"] for row in ours] == [row["example_id"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    for split in ("val", "test"):
        one, other = (record.metrics["classification"][split]["loss"].value for record in records)
        assert one == pytest.approx(other, rel=1e-5)
