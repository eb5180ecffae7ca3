"""Real weights on real text, through the command line: what the README promises."""

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.record import RunRecord, find_records

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.slow, pytest.mark.real]


def run(folder: Path, *arguments: str) -> dict[str, tuple[Path, RunRecord]]:
    """Run train.py with every core, in a folder of its own, and return the records by method."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments, "sweep.dir=sweep"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr
    return {record.method: (path, record) for path, record in find_records(folder / "sweep")}


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


def test_a_causal_language_model_learns_instructions(tmp_path: Path) -> None:
    records = run(tmp_path, "model=smollm2-135m", "dataset=chatterbot", "method=lora", "budget.train_rows=320")
    folder, record = records["lora"]
    with (folder / "metrics.csv").open() as stream:
        losses = [float(row["train/loss"]) for row in csv.DictReader(stream) if row["train/loss"]]
    start, end = sum(losses[:4]) / 4, sum(losses[-4:]) / 4
    assert end < 0.8 * start
    assert record.metrics["instruction"]["test"]["perplexity"].value > 1
    assert {check.status for check in record.checks.values()} == {"passed"}, record.checks


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """Equal global batches give equal gradients; what is left is the order of summation and of dropout."""
    settings = ["method=head", "model.dropout=0.0", "budget=smoke", "budget.steps=12", "tracker=none"]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = run(tmp_path / "one", *settings, "hardware=cpu")["head"][1]
    two = run(tmp_path / "two", *settings, "hardware=ddp_cpu")["head"][1]
    assert two.hardware.devices == 2
    assert two.cost.examples_seen == one.cost.examples_seen
    for name, metric in one.metrics["classification"]["test"].items():
        other = two.metrics["classification"]["test"][name]
        assert other.n == metric.n
        assert other.value == pytest.approx(metric.value, abs=1e-4), name
