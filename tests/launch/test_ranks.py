"""Two gloo ranks inside a sweep: each job has its own, and what happens to one of them ends its job alone."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from ftlab.launch.local import LocalExecutor
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record
from ftlab.sweep import Interrupted, run_sweep
from tests.fixtures.checkpoints import tiny
from tests.launch.sweeping import FAILING, Bench, directory_of
from tests.launch.test_resume import RUN, results

LAGGING = '''
import json
import os

from ftlab import checkpoints
from ftlab.methods.selective import Full


class Lagging(Full):
    """Rank 1 works in a folder in which rank 0's checkpoints have not arrived."""

    def adapt_task(self, task, architecture):
        if os.environ.get("RANK") == "1":
            checkpoints.newest = lambda folder, warn: None
        return task
'''
COUNTING = """
import json

import torch
from lightning.pytorch import Callback

from ftlab.methods.selective import Full


class Counts(Callback):
    def on_train_start(self, trainer, pl_module):
        self.calls = {}
        for name in ("all_reduce", "all_gather", "broadcast", "barrier"):
            setattr(torch.distributed, name, self.counted(name, getattr(torch.distributed, name)))

    def counted(self, name, call):
        def counting(*args, **kwargs):
            self.calls[name] = self.calls.get(name, 0) + 1
            return call(*args, **kwargs)

        return counting

    def on_train_end(self, trainer, pl_module):
        with open(f"calls{trainer.global_rank}.json", "w") as stream:
            json.dump(self.calls, stream)


class Counting(Full):
    def callbacks(self):
        return [Counts()]
"""
PAIR = ("hardware=ddp_cpu", "model.dropout=0.0", "method.config.lora_dropout=0.0")


def predictions(directory: Path) -> list[dict[str, object]]:
    return pq.read_table(directory / "predictions.parquet").to_pylist()


def statuses(records: list[RunRecord]) -> list[str]:
    return [record.status for record in records]


def test_two_ranks_measure_what_one_process_does(bench: Bench) -> None:
    """Steps of 10 rows over 64, cut into pieces: no row twice, none left out, and every test row predicted once."""
    settings = ("budget.steps=13", "optim.batch_size=10")
    one = bench.config("one", *settings, *PAIR, "hardware=cpu")
    two = bench.config("two", *settings, *PAIR, "speed.micro_batch_tokens=24")
    (alone,) = bench.run([one])
    (pair,) = bench.run([two])
    assert statuses([alone, pair]) == ["completed", "completed"]
    assert (pair.hardware.devices, pair.cost.examples_seen, pair.cost.tokens_seen) == (2, 130, alone.cost.tokens_seen)
    for name, metric in alone.metrics["classification"]["test"].items():
        assert pair.metrics["classification"]["test"][name].n == metric.n
        assert pair.metrics["classification"]["test"][name].value == pytest.approx(metric.value, abs=1e-5)
    for ours, theirs in zip(predictions(directory_of(two)), predictions(directory_of(one)), strict=True):
        assert ours["example_id"] == theirs["example_id"]
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
    logs = sorted(path.name for path in (directory_of(two) / "logs").iterdir())
    assert logs == ["job.log", "rank1.log"]
    assert len(list(directory_of(two).parent.glob(f"*/{FILE_NAME}"))) == 1


@pytest.mark.slow
def test_two_ranks_killed_and_resumed(bench: Bench) -> None:
    """Each rank has its own stream of dropout, and goes on with it."""
    whole, broken = (
        bench.config(name, *RUN, "hardware=ddp_cpu", "optim.batch_size=12") for name in ("whole2", "broken2")
    )
    (expected,) = bench.run([whole])
    record = bench.killing_at(broken, [9])
    assert statuses([expected, record]) == ["completed", "completed"], record.failure
    assert results(directory_of(broken), record) == results(directory_of(whole), expected)


def test_ranks_that_see_different_checkpoints_do_not_train_as_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lagging.py").write_text(LAGGING)
    monkeypatch.chdir(tmp_path)
    config = bench.config(
        "lags", *RUN, "hardware=ddp_cpu", "optim.batch_size=12", "method=full", "method._target_=lagging.Lagging"
    )
    bench.kill_at(config, 3)
    (record,) = bench.run([config])
    assert record.status == "interrupted"
    assert "the ranks found checkpoints of different steps" in record.failure.message


def test_ranks_wait_for_each_other_where_something_is_written_down_and_not_at_each_step(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what DDP does for gradients; Lightning alone waits once a step, for a signal that ftlab asks for."""
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.chdir(tmp_path)
    settings = ("hardware=ddp_cpu", "method=full", "method._target_=counting.Counting", "budget.steps=150")
    (record,) = bench.run([bench.config("counts", *settings)])
    assert record.status == "completed", record.failure
    of_both = [json.loads((tmp_path / f"calls{rank}.json").read_text()) for rank in (0, 1)]
    assert of_both[0] == of_both[1]
    assert of_both[0]["all_gather"] >= 50, "points of the training curve"
    assert sum(of_both[0].values()) < 150


def test_device_counts_and_orders_may_differ_within_a_sweep(bench: Bench) -> None:
    devices = (2, 1, 2, 1)
    configs = [
        bench.config("mixed", *PAIR, f"hardware.devices={count}", f"seed={seed}") for seed, count in enumerate(devices)
    ]
    records = bench.run(configs, at_once=2)
    assert statuses(records) == ["completed"] * 4
    assert tuple(record.hardware.devices for record in records) == devices


def test_a_rank_that_raises_fails_its_job_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    monkeypatch.chdir(tmp_path)
    configs = [
        bench.config("raises", "hardware=ddp_cpu", "method=full", "method._target_=failing.Failing"),
        bench.config("raises", "hardware=ddp_cpu", "method=lora"),
    ]
    failed, fine = bench.run(configs)
    assert statuses([failed, fine]) == ["failed", "completed"]
    assert failed.failure.message == "rank 1: rank 1 has had enough"
    assert "on_train_batch_end" in failed.failure.traceback
    assert "rank 1 has had enough" in capsys.readouterr().err


def test_a_rank_that_is_killed_ends_its_job_alone(bench: Bench) -> None:
    """The other rank would wait for it for ever."""
    configs = [
        bench.config("dies", "hardware=ddp_cpu", "budget.steps=100000"),
        bench.config("dies", "hardware=ddp_cpu", "method=full"),
    ]
    directory = directory_of(configs[0])

    def kill_rank_1() -> None:
        rank_0 = psutil.Process(_in_training(directory))
        (rank_1,) = [
            one for one in rank_0.parent().children() if one.pid != rank_0.pid and _job_of(one) == _job_of(rank_0)
        ]
        rank_1.kill()

    killer = threading.Thread(target=kill_rank_1)
    killer.start()
    dead, fine = bench.run(configs)
    killer.join()
    assert statuses([dead, fine]) == ["interrupted", "completed"]
    assert dead.failure.message == "rank 1 was killed by SIGKILL"
    assert not _left_over()


def test_an_interrupt_reaches_every_rank_of_every_job_and_leaves_a_checkpoint(bench: Bench) -> None:
    configs = [
        bench.config("interrupted", "hardware=ddp_cpu", "budget.steps=100000", f"seed={seed}") for seed in (0, 1)
    ]

    def interrupt() -> None:
        for config in configs:
            _in_training(directory_of(config))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted):
        run_sweep(configs, Path(configs[0].sweep.dir), LocalExecutor(2))
    thread.join()
    for config in configs:
        record = read_record(directory_of(config))
        assert record.status == "interrupted"
        assert record.failure.message == "stopped by SIGTERM"
        saved = list((directory_of(config) / "checkpoints").glob("step-*.ckpt"))
        assert len(saved) == 1
        assert record.failure.step == int(saved[0].stem.removeprefix("step-"))
    assert not _left_over()


def _in_training(directory: Path) -> int:
    """Wait until the job trains; return the process id of rank 0."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = find_records(directory) if directory.exists() else []
        if found and found[0][1].progress and found[0][1].progress.step:
            return found[0][1].process.pid
        time.sleep(0.1)
    raise AssertionError(f"{directory} did not begin to train")


def _job_of(process: psutil.Process) -> str:
    return process.environ().get("MASTER_PORT", "") or Path(f"/proc/{process.pid}/fd/1").resolve().parents[1].name


def _left_over() -> list[psutil.Process]:
    """Return the ranks that still run: what the warm process has forked."""
    me = psutil.Process()
    servers = [child for child in me.children() if "forkserver" in " ".join(child.cmdline())]
    assert servers
    deadline = time.monotonic() + 10
    while any(server.children() for server in servers) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [child for server in servers for child in server.children()]


def test_two_ranks_take_the_step_of_one_process_on_answers_of_any_length(bench: Bench) -> None:
    rows = [{"instruction": f"say {n}", "input": "", "output": "fine " * (1 + n**2 % 17)} for n in range(80)]
    (bench.folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = (
        f"model.name={tiny('gpt2')}",
        "dataset=instruction_files",
        f"dataset.source.train={bench.folder / 'chats.jsonl'}",
        "budget.steps=6",
        "optim.batch_size=8",
        *PAIR,
    )
    (alone,) = bench.run([bench.config("one-lm", *settings, "hardware=cpu")])
    (pair,) = bench.run([bench.config("two-lm", *settings, "optim.accumulate=2", "optim.packing=true")])
    assert statuses([alone, pair]) == ["completed", "completed"]
    assert pair.cost.tokens_seen == alone.cost.tokens_seen
    for name, metric in alone.metrics["instruction"]["test"].items():
        assert pair.metrics["instruction"]["test"][name].value == pytest.approx(metric.value, rel=1e-5)
