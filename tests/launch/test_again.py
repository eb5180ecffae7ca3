"""The same command given again: what is complete stays, what is partial goes on, what failed waits to be asked for."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ftlab.checkpoints import all_points
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record
from tests.launch.sweeping import Bench, directory_of
from tests.launch.test_resume import RUN, results

ROOT = Path(__file__).parents[2]
# 100 MB for each example of a micro-batch, of 600 MB that there are
HUNGRY = """
import resource

import psutil
import torch
from lightning.pytorch import Callback

from ftlab.methods.selective import Full


class Eats(Callback):
    def on_train_start(self, trainer, pl_module):
        limit = psutil.Process().memory_info().vms + 600 * 10**6
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.empty(len(batch["input_ids"]) * 10**8, dtype=torch.uint8)

    def on_train_end(self, trainer, pl_module):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Hungry(Full):
    def callbacks(self):
        return [Eats()]
"""


@pytest.fixture
def hungry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    (tmp_path / "hungry.py").write_text(HUNGRY)
    monkeypatch.chdir(tmp_path)
    whole = "speed.micro_batch_tokens=null"
    return ("method=full", "method._target_=hungry.Hungry", "method.name=hungry", whole)


@pytest.mark.slow
def test_only_what_is_new_is_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    first = bench.run([bench.config("axis", f"seed={seed}") for seed in (0, 1)])
    both = bench.run([bench.config("axis", f"seed={seed}") for seed in (0, 1, 2)])
    assert [record.status for record in both] == ["completed"] * 3
    assert both[:2] == first
    assert capsys.readouterr().out.count("complete already, not run again") == 2


def test_what_failed_is_tried_again_on_demand(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("method=partial", "method.layers=9")
    (failed,) = bench.run([bench.config("fails", *settings)])
    (same,) = bench.run([bench.config("fails", *settings)])
    assert same == failed
    assert "failed before, not run again: sweep.retry=failed tries it once more" in capsys.readouterr().out
    (again,) = bench.run([bench.config("fails", *settings, "sweep.retry=failed")])
    assert again.status == "failed"
    assert again.process != failed.process


def test_out_of_memory_is_a_result(bench: Bench, hungry: tuple[str, ...]) -> None:
    (record,) = bench.run([bench.config("oom", *hungry)])
    assert record.status == "oom"
    assert (record.micro_batch_size, record.progress.step) == (16, 0)
    assert record.progress.peak_memory_bytes > 10**8
    assert record.failure.message.startswith(
        "out of memory with 16 examples at a time: set budget.oom=halve_batch, raise optim.accumulate, or lower "
        "budget.max_length (DefaultCPUAllocator: can't allocate memory"
    )


def test_out_of_memory_may_halve_the_micro_batch(bench: Bench, hungry: tuple[str, ...]) -> None:
    (record,) = bench.run([bench.config("halved", *hungry, "budget.oom=halve_batch")])
    assert record.status == "completed", record.failure
    assert [(one.micro_batch_size, one.accumulate) for one in record.out_of_memory] == [(16, 1), (8, 2)]
    assert all(one.peak_memory_bytes > 10**8 for one in record.out_of_memory)
    assert record.micro_batch_size == 4
    assert (record.cost.optimizer_steps, record.cost.examples_seen) == (4, 64)
    assert "out of memory with 8 examples at a time: 4 at a time, 4 times per step" in record.warnings[0]
    assert record.config["optim"]["accumulate"] == 1  # what was asked for


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_stopped_and_gone_on_with(bench: Bench) -> None:
    settings = ("budget.steps=3000", "budget.validations=1")
    (record,) = bench.run([bench.config("late", *settings, "sweep.timeout_min=0.08")])
    assert record.status == "timeout"
    assert record.failure.message == "stopped after sweep.timeout_min=0.08 minutes"
    (point,) = all_points(directory_of(bench.config("late", *settings)) / "checkpoints")
    (again,) = bench.run([bench.config("late", *settings, "sweep.timeout_min=0.08")])
    assert again.resumed_at == [point.step]


def _client(bench: Bench, sweep: str, jobs: int) -> subprocess.Popen[str]:
    settings = [
        "method=lora,full,prefix",
        "seed=0,1",
        *bench.settings,
        *RUN,
        "budget.steps=120",
        f"hydra.launcher.jobs={jobs}",
        f"sweep.name={sweep}",
    ]
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", "-m", *settings],
        cwd=bench.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def _finished(bench: Bench, sweep: str) -> dict[tuple[str, int], tuple[Path, RunRecord]]:
    found = find_records(bench.folder / "outputs" / sweep)
    return {(record.method, record.seed): (folder, record) for folder, record in found}


def _steps(sweep: Path) -> int:
    """Return how many steps of all runs are in checkpoints or done."""
    records = find_records(sweep) if sweep.exists() else []
    done = sum(120 for _, record in records if record.status == "completed")
    return done + sum(point.step for folder in sweep.glob("*/checkpoints") for point in all_points(folder)[:1])


@pytest.mark.slow
def test_a_sweep_of_six_whose_client_is_killed_three_times(bench: Bench) -> None:
    """SIGKILL leaves the client no time for a word: its jobs notice, save, and end."""
    undisturbed = _client(bench, "undisturbed", 2)
    out, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, out
    root = bench.folder / "outputs" / "disturbed"
    for number in range(3):
        client = _client(bench, "disturbed", 2)
        deadline = time.monotonic() + 120
        while _steps(root) < 130 * (number + 1):
            assert time.monotonic() < deadline
            assert client.poll() is None, client.communicate()[0]
            time.sleep(0.05)
        family = psutil.Process(client.pid).children(recursive=True)
        assert family
        client.kill()
        client.communicate()
        _, alive = psutil.wait_procs(family, timeout=40)
        assert not alive, alive
        assert "running" not in {record.status for _, record in _finished(bench, "disturbed").values()}
    client = _client(bench, "disturbed", 2)
    out, _ = client.communicate(timeout=300)
    assert client.returncode == 0, out
    expected, found = _finished(bench, "undisturbed"), _finished(bench, "disturbed")
    assert len(found) == 6
    assert {key: results(*one) for key, one in found.items()} == {key: results(*one) for key, one in expected.items()}
    assert sum(len(record.resumed_at) for _, record in found.values()) >= 3


@pytest.mark.slow
def test_nothing_is_left_of_an_interrupted_command(bench: Bench) -> None:
    client = _client(bench, "ctrl-c", 2)
    root = bench.folder / "outputs" / "ctrl-c"
    deadline = time.monotonic() + 120
    while sum(1 for _ in root.glob(f"*/{FILE_NAME}")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = psutil.Process(client.pid).children(recursive=True)
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=60)
    assert client.returncode == 128 + signal.SIGINT
    assert re.search("stopped by SIGINT", out)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, alive
    assert {read_record(path.parent).status for path in root.glob(f"*/{FILE_NAME}")} == {"interrupted"}
