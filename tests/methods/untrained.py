"""Assertions on the run of a method that trains nothing."""

from pathlib import Path

from ftlab.record import RunRecord


def assert_untrained(record: RunRecord, directory: Path, *, kept: list[str]) -> None:
    """Assert that nothing was trained, that what was measured is there, and that these files are the adapter."""
    assert record.status == "completed"
    assert (record.parameters.trainable, record.trainable) == (0, [])
    assert (record.cost.train_s, record.cost.optimizer_steps, record.cost.examples_seen) == (0.0, 0, 0)
    assert record.cost.peak_memory_bytes is None
    assert record.cost.eval_s > 0
    assert {name: check.status for name, check in record.checks.items()} == {"reload": "passed"}
    assert set(record.metrics[record.task]) == {"val", "test"}
    files = sorted((directory / "adapter").iterdir())
    assert [file.name for file in files] == kept
    assert record.parameters.adapter_bytes == sum(file.stat().st_size for file in files)
