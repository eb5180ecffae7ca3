"""Two gloo ranks inside a sweep: each job has its own, and what happens to one of them ends its job alone."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from ftlab.config.run_config import RunConfig
from ftlab.launch.local import LocalExecutor
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.sweeps.interrupts import Interrupted
from ftlab.sweeps.jobs import run_sweep
from tests.fixtures.checkpoints import tiny
from tests.launch.sweeping import WAITING_METHOD, Bench, directory_of, meanwhile, until, until_it_waits

pytestmark = pytest.mark.xdist_group("bench")

# Rank 1 works in a folder in which rank 0's checkpoints have not arrived, once a file says so.
LAGGING = """
import os
from pathlib import Path

import waiting
from ftlab.train import setup


class Lagging(waiting.Waiting):
    def adapt_task(self, task, architecture):
        if os.environ.get("RANK") == "1" and Path("lag").exists():
            setup.newest_resume_point = lambda folder, warn: None
        return task
"""
COUNTING = """
import json

import torch
from lightning.pytorch import Callback

from ftlab.methods.partial import Full


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


def test_a_rank_that_raises_fails_its_job_alone_and_two_ranks_measure_what_one_process_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Steps of 10 rows over 64, cut into pieces: no row twice, none left out, and every test row predicted once."""
    monkeypatch.chdir(bench.folder)
    settings = ("budget.steps=13", "optim.batch_size=10")
    raises = bench.config("two", "hardware=ddp_cpu", "method=full", "method._target_=failing.Failing")
    two = bench.config("two", *settings, *PAIR, "speed.micro_batch_tokens=24")
    one = bench.config("one", *settings, *PAIR, "hardware=cpu")
    failed, pair = bench.run([raises, two])
    assert "rank 1 has had enough" in capsys.readouterr().err
    assert failed.failure.message == "rank 1: rank 1 has had enough"
    assert "on_train_batch_end" in failed.failure.traceback
    (alone,) = bench.run([one])
    assert statuses([failed, alone, pair]) == ["failed", "completed", "completed"]
    assert (pair.hardware.devices, pair.cost.examples_seen, pair.cost.tokens_seen) == (2, 130, alone.cost.tokens_seen)
    for name, metric in alone.metrics["classification"]["test"].items():
        assert pair.metrics["classification"]["test"][name].n == metric.n
        assert pair.metrics["classification"]["test"][name].value == pytest.approx(metric.value, abs=1e-5)
    for ours, theirs in zip(predictions(directory_of(two)), predictions(directory_of(one)), strict=True):
        assert ours["example_id"] == theirs["example_id"]
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
    logs = sorted(path.name for path in (directory_of(two) / "logs").iterdir())
    assert logs == ["job.log", "rank1.log"]
    assert len(list(directory_of(two).parent.glob(f"*/{FILE_NAME}"))) == 2


@dataclass
class Interruption:
    """Three jobs of two ranks each: rank 1 of the second was killed, and Ctrl-C came while the others trained."""

    configs: list[RunConfig]
    records: list[RunRecord]
    saved: list[list[str]]
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def interruption(bench: Bench) -> Interruption:
    (bench.folder / "lagging.py").write_text(LAGGING)
    endless = ("hardware=ddp_cpu", "budget.steps=100000")
    waiting = (*WAITING_METHOD, "method._target_=lagging.Lagging", *endless)
    configs = [
        bench.config("interrupted", *waiting, "seed=0"),
        bench.config("interrupted", "method=full", *endless, "sweep.checkpoint_s=0"),
        bench.config("interrupted", *waiting, "seed=1"),
    ]
    first, dies, last = map(directory_of, configs)

    def disturb() -> None:
        until(lambda: list(dies.glob("checkpoints/step-*")), "the second job trains")
        rank_0 = psutil.Process(read_record(dies).process.pid)
        peers = [one for one in rank_0.parent().children() if one.pid != rank_0.pid and _job_of(one) == _job_of(rank_0)]
        (rank_1,) = peers
        rank_1.kill()
        for directory in (first, last):  # the last one begins when the one that died is over
            until_it_waits(directory, ranks=2)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(bench.folder)
        with pytest.raises(Interrupted), meanwhile(disturb):
            run_sweep(configs, first.parent, LocalExecutor(2))
    records = [read_record(directory) for directory in (first, dies, last)]
    saved = [[path.stem for path in directory.glob("checkpoints/step-*.ckpt")] for directory in (first, dies, last)]
    return Interruption(configs, records, saved, _left_over())


def test_a_rank_that_is_killed_ends_its_job_alone(interruption: Interruption) -> None:
    """The other rank would wait for it for ever."""
    _, dead, _ = interruption.records
    assert dead.status == "interrupted"
    assert dead.failure.type == "SIGKILL"
    assert "rank 1" in dead.failure.message


def test_an_interrupt_reaches_every_rank_of_every_job_and_leaves_a_checkpoint(interruption: Interruption) -> None:
    for record, saved in list(zip(interruption.records, interruption.saved, strict=True))[::2]:
        assert record.status == "interrupted"
        assert record.failure.type == "Stopped"
        assert "SIGTERM" in record.failure.message
        assert saved == [f"step-{record.failure.step:08d}"]
    assert interruption.left == []


def test_ranks_that_see_different_checkpoints_do_not_train_as_one(
    interruption: Interruption, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.folder)
    (bench.folder / "lag").touch()
    config = interruption.configs[0]
    (record,) = bench.run([config])
    assert record.status == "interrupted"
    assert record.failure.type == "Unfinished"
    for culprit in ("sweep.dir", str(directory_of(config) / "checkpoints")):
        assert culprit in record.failure.message


@pytest.mark.slow
def test_a_stop_in_the_last_step_keeps_what_was_trained(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No vote of the ranks comes after it; the run goes on with its last validation done, and ends as a whole one."""
    monkeypatch.chdir(bench.folder)
    waiting = (*WAITING_METHOD, "budget.steps=3", "sweep.val_predictions=true", "model.dropout=0.2")
    hardware = ("hardware=cpu", "hardware=ddp_cpu")
    stopped = [bench.config("last-step", *waiting, one) for one in hardware]
    whole = [bench.config("last-step-whole", *waiting, one) for one in hardware]

    def interrupt() -> None:
        for ranks, config in enumerate(stopped, 1):
            until_it_waits(directory_of(config), ranks)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted), meanwhile(interrupt):
        run_sweep(stopped, Path(stopped[0].sweep.dir), LocalExecutor(2))
    for name in ("last-step", "last-step-whole"):
        (bench.folder / name).mkdir(exist_ok=True)
        (bench.folder / name / "go").touch()
    records, expected = bench.run(stopped), bench.run(whole)
    assert [(record.status, record.resumed_at) for record in records] == [("completed", [3])] * 2
    assert [record.metrics for record in records] == [record.metrics for record in expected]
    for ours, theirs in zip(map(directory_of, stopped), map(directory_of, whole), strict=True):
        assert predictions(ours) == predictions(theirs)
        assert (ours / "val_predictions.parquet").read_bytes() == (theirs / "val_predictions.parquet").read_bytes()


def test_ranks_wait_for_each_other_where_something_is_written_down_and_not_at_each_step(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what DDP does for gradients; Lightning alone waits once a step, for a signal that ftlab asks for."""
    (tmp_path / "counting.py").write_text(COUNTING)
    monkeypatch.chdir(tmp_path)
    method = ("method=full", "method._target_=counting.Counting")
    settings = ("hardware=ddp_cpu", *method, "budget.steps=100", "optim.batch_size=4")
    (record,) = bench.run([bench.config("counts", *settings)])
    assert record.status == "completed", record.failure
    of_both = [json.loads((tmp_path / f"calls{rank}.json").read_text()) for rank in (0, 1)]
    assert of_both[0] == of_both[1]
    assert of_both[0]["all_gather"] >= 50, "points of the training curve"
    assert sum(of_both[0].values()) < 100


def _job_of(process: psutil.Process) -> str:
    return process.environ().get("MASTER_PORT", "") or Path(f"/proc/{process.pid}/fd/1").resolve().parents[1].name


def _left_over() -> list[psutil.Process]:
    """Return the ranks that still run: what the warm process has forked; they have minutes to end."""
    servers = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
    assert servers
    _, alive = psutil.wait_procs([rank for server in servers for rank in server.children()], timeout=120)
    return alive


@pytest.mark.slow
def test_two_ranks_take_the_step_of_one_process_on_answers_of_any_length(bench: Bench) -> None:
    rows = [{"instruction": f"say {n}", "input": "", "output": "fine " * (1 + n**2 % 17)} for n in range(80)]
    (bench.folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = (
        f"model.name={tiny('gpt2')}",
        "dataset=instruction_files",
        f"dataset.source.train={bench.folder / 'chats.jsonl'}",
        "budget.steps=6",
        "budget.test_rows=8",
        "dataset.generate.rows=4",
        "optim.batch_size=8",
        *PAIR,
    )
    (alone,) = bench.run([bench.config("one-lm", *settings, "hardware=cpu")])
    (pair,) = bench.run([bench.config("two-lm", *settings, "optim.accumulate=2", "optim.packing=true")])
    assert statuses([alone, pair]) == ["completed", "completed"]
    assert pair.cost.tokens_seen == alone.cost.tokens_seen
    for name, metric in alone.metrics["instruction"]["test"].items():
        assert pair.metrics["instruction"]["test"][name].value == pytest.approx(metric.value, rel=1e-5)
