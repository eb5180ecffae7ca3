"""Budgets and the search for rates over real processes: several ranks, interruptions, one command given twice."""

import re
import sys

import pytest

from ftlab.cli import training
from ftlab.record import find_records
from tests.launch.sweeping import Bench, directory_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bench")]

# A step takes a tenth of a second on rank 0 and half of one on the other rank; the job is killed once, at its third.
TIMED = """
import os
import signal
from pathlib import Path
from types import SimpleNamespace

from lightning.pytorch import Callback

from ftlab.core import phase_clock
from ftlab.train.callbacks import resume
from ftlab.methods.partial import Head


class Clock(Callback):
    now = 0.0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.now += 0.1 if trainer.is_global_zero else 0.5
        killed = Path(trainer.default_root_dir) / "killed"
        if trainer.is_global_zero and trainer.global_step == 3 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Timed(Head):
    def callbacks(self):
        clock = Clock()
        read = lambda: clock.now
        phase_clock.time = SimpleNamespace(perf_counter=read, process_time=read)
        resume.time = SimpleNamespace(monotonic=read)
        return [clock]
"""


def test_ranks_stop_together_when_time_is_up_and_go_on_with_the_time_used_so_far(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "timed.py").write_text(TIMED)
    monkeypatch.chdir(bench.folder)
    # without patience: rows made up by chance may well get no better in three of five validations
    budget = ("budget=seconds", "budget.seconds=2", "budget.patience=null", "sweep.checkpoint_s=0")
    method = ("method=head", "method._target_=timed.Timed")
    config = bench.config("seconds", *method, *budget, "hardware=ddp_cpu")
    (killed,) = bench.run([config])
    assert (killed.status, killed.failure.type) == ("interrupted", "SIGKILL")
    (record,) = bench.run([config])
    assert record.status == "completed", record.failure
    assert record.resumed_at == [3]
    assert record.hardware.devices == 2
    assert record.budget.used == pytest.approx(2, abs=0.15)
    assert record.cost.optimizer_steps == pytest.approx(20, abs=1)
    assert record.cost.examples_seen == record.cost.optimizer_steps * record.config["optim"]["batch_size"]
    assert record.progress.validated_at == record.progress.step
    assert not (directory_of(config) / "checkpoints").exists()


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
    assert re.search(r"full: 2 \D+, 1 failed\b", first)
    assert "0.001" in first
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
