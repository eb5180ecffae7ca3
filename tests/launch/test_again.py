"""The same sweep given again: what is complete stays, what is partial goes on, what failed waits to be asked for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlab.core.errors import UserError
from ftlab.launch import local
from ftlab.record.checkpoints import resume_points
from ftlab.sweeps.jobs import sweep_lock
from tests.fixtures.refusals import refused
from tests.launch.sweeping import WAITING_METHOD, Bench, directory_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bench")]

# 100 MB for each example of a micro-batch, of 600 MB that there are
HUNGRY = """
import resource

import psutil
import torch
from lightning.pytorch import Callback

from ftlab.methods.partial import Full


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


def test_only_what_is_new_is_run_and_what_failed_is_tried_again_on_demand(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, fine, floor = ("method=partial", "method.layers=9"), ("method=lora",), ("method=majority",)
    (failed,) = bench.run([bench.config("again", *broken)])
    assert failed.status == "failed"
    same, new = bench.run([bench.config("again", *one) for one in (broken, fine)])
    assert (same, new.status) == (failed, "completed")
    assert "sweep.retry=failed" in capsys.readouterr().out
    again, still, newer = bench.run(
        [bench.config("again", *one, "sweep.retry=failed") for one in (broken, fine, floor)]
    )
    assert (again.status, newer.status) == ("failed", "completed")
    assert again.process != failed.process
    assert still == new


def test_two_sweeps_do_not_work_in_one_folder(bench: Bench) -> None:
    config = bench.config("shared", "method=majority")
    with sweep_lock(Path(config.sweep.dir)), refused(UserError, config.sweep.dir, "sweep.name"):
        bench.run([config])
    assert not Path(config.sweep.dir).exists()


def test_out_of_memory_is_a_result_and_may_halve_the_micro_batch(bench: Bench, hungry: tuple[str, ...]) -> None:
    (whole,), (halved,) = (
        bench.run([bench.config(f"oom-{o}", *hungry, f"budget.oom={o}")]) for o in ("fail", "halve_batch")
    )
    assert whole.status == "oom"
    assert (whole.micro_batch_size, whole.progress.step) == (16, 0)
    assert whole.progress.peak_memory_bytes > 10**8
    for fact in ("16", "budget.oom=halve_batch", "optim.accumulate", "budget.max_length", "DefaultCPUAllocator"):
        assert fact in whole.failure.message
    assert halved.status == "completed", halved.failure
    assert [(one.micro_batch_size, one.accumulate) for one in halved.out_of_memory] == [(16, 1), (8, 2)]
    assert all(one.peak_memory_bytes > 10**8 for one in halved.out_of_memory)
    assert halved.micro_batch_size == 4
    assert (halved.cost.optimizer_steps, halved.cost.examples_seen) == (4, 64)
    assert all(fact in halved.warnings[0] for fact in ("size of 8", "with 4", "4 micro-batches"))
    assert halved.config["optim"]["accumulate"] == 1  # what was asked for


class Leaping:
    """The module `time`, whose clock is an hour ahead once something has happened."""

    def __init__(self, happened: Callable[[], bool]) -> None:
        self._happened = happened

    def monotonic(self) -> float:
        return time.monotonic() + 3600 * self._happened()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def test_a_job_that_takes_too_long_is_stopped_and_gone_on_with(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)
    config = bench.config("late", *WAITING_METHOD, "sweep.timeout_min=30")
    monkeypatch.setattr(local, "time", Leaping((directory_of(config) / "waits-0").exists))
    (record,) = bench.run([config])
    assert (record.status, record.failure.type) == ("timeout", "Timeout")
    assert "sweep.timeout_min=30" in record.failure.message
    (point,) = resume_points(directory_of(config) / "checkpoints")
    (again,) = bench.run([config])
    assert (again.status, again.resumed_at) == ("completed", [point.step])
