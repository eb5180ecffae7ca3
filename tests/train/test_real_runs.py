"""Real weights on real text, through the command line: what the README promises."""

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.record import RunRecord, find_records

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.real]


def run(folder: Path, *arguments: str) -> dict[str, tuple[Path, RunRecord]]:
    """Run train.py in a folder of its own, on one thread, for it has neighbours; return the records by method."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments, "sweep.dir=sweep"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    return {record.method: (path, record) for path, record in find_records(folder / "sweep")}


@pytest.mark.xdist_group("demo")  # groups come first, and these take minutes
def test_the_demo(tmp_path: Path) -> None:
    records = run(tmp_path, "-m", "method=lora,prefix,full")
    accuracy = {
        method: record.metrics["classification"]["test"]["accuracy"].value for method, (_, record) in records.items()
    }
    folder, record = records["lora"]
    labels = pq.read_table(folder / "predictions.parquet")["label"].to_pylist()
    majority = Counter(labels).most_common(1)[0][1] / len(labels)
    assert accuracy["full"] >= 0.90
    assert accuracy["lora"] >= 0.90
    assert accuracy["prefix"] >= majority + 0.3
    for _, record in records.values():
        assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
        assert record.warnings == []


@pytest.mark.xdist_group("smollm2")
def test_a_causal_language_model_learns_instructions(tmp_path: Path) -> None:
    few = ("budget.train_rows=64", "optim.batch_size=8", "budget.val_rows=10", "budget.test_rows=10")
    few += ("dataset.generate.rows=2", "budget.max_length=64")
    records = run(tmp_path, "model=smollm2-135m", "dataset=chatterbot", "method=lora", *few)
    folder, record = records["lora"]
    with (folder / "metrics.csv").open() as stream:
        losses = [float(row["train/loss"]) for row in csv.DictReader(stream) if row["train/loss"]]
    start, end = sum(losses[:4]) / 4, sum(losses[-4:]) / 4
    assert end < 0.8 * start
    assert record.metrics["instruction"]["test"]["perplexity"].value > 1
    assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
