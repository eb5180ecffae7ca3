"""Budgets and the search for rates over real processes: several ranks, interruptions, one command given twice."""

import sys

import pytest

from ftlab.cli import training
from ftlab.record import find_records
from tests.launch.sweeping import Bench, directory_of

# without patience: rows made up by chance may well get no better in three of five validations
SECONDS = ("method=head", "budget=seconds", "budget.seconds=2", "budget.patience=null", "sweep.checkpoint_s=0")


@pytest.mark.slow
def test_a_budget_in_seconds_goes_on_with_the_time_used_so_far(bench: Bench) -> None:
    record = bench.killing_at(bench.config("seconds", *SECONDS), [3])
    assert record.status == "completed", record.failure
    assert len(record.resumed_at) == 1
    assert record.budget.used >= 2
    assert record.progress.validated_at == record.progress.step
    assert not (directory_of(bench.config("seconds", *SECONDS)) / "checkpoints").exists()


@pytest.mark.slow
def test_ranks_stop_together_when_time_is_up(bench: Bench) -> None:
    (record,) = bench.run([bench.config("ranks", *SECONDS, "hardware=ddp_cpu", "sweep.checkpoint_s=60")])
    assert record.status == "completed", record.failure
    assert record.hardware.devices == 2
    # the first rank whose time is up ends it for all; the record has the time of rank 0, whose clock begins later
    assert record.budget.used >= 1
    assert record.cost.examples_seen == record.cost.optimizer_steps * record.config["optim"]["batch_size"]


@pytest.mark.slow
def test_a_search_by_its_command_and_by_the_same_one_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setenv("COLUMNS", "160")
    folder = bench.folder / "search"
    rates = ["search=lr", "search.trials=2", "method.search.lr=[1e-3,1e12]"]  # the second one diverges
    arguments = ["-m", *rates, "method=full", "seed=0,1", *bench.settings, f"sweep.dir={folder}"]
    monkeypatch.setattr(sys, "argv", ["train.py"])
    training.train(arguments)
    first = capsys.readouterr().out
    assert "full: 2 learning rates tried, 1 failed in" in first
    assert "at the best, 0.001" in first
    found = find_records(folder)
    trials = [record for _, record in found if record.role == "trial"]
    runs = [record for _, record in found if record.role == "run"]
    assert {record.status for record in trials} == {"completed", "failed"}
    assert [record.seed for record in runs] == [0, 1]
    assert all("test" in metrics for record in runs for metrics in record.metrics.values())
    assert not any("test" in metrics for record in trials for metrics in record.metrics.values())
    assert not list(folder.glob("trial-*/predictions.parquet"))
    training.train(arguments)
    assert find_records(folder) == found, "nothing ran again"
