"""Jobs as Ray tasks: they end as they do without Ray, one with two ranks among them, and Ctrl-C leaves nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ftlab.core.errors import ConfigError
from ftlab.launch.executor import Ended, Executor, Job
from ftlab.record import RunRecord, find_records, read_record
from ftlab.record.checkpoints import FOLDER, resume_points
from tests.fixtures.refusals import refused
from tests.launch.queueing import cut_while_jobs_run, tell_of_jobs_added_and_cancelled_while_others_run
from tests.launch.sweeping import WAITING_METHOD, Bench, until

ray = pytest.importorskip("ray", reason="Ray is an extra: pip install ftlab[ray]")

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("settings", "nodes", "needs"),
    [
        (["hardware=cpu"], [{"CPU": 4}], (1, 0)),
        (["hardware=auto"], [{"CPU": 4}], (1, 0)),
        (["hardware=auto"], [{"CPU": 4, "GPU": 2}], (1, 1)),
        (["hardware=cpu", "hardware.threads=3"], [{"CPU": 4, "GPU": 2}], (3, 0)),
        (["hardware=gpu", "hardware.devices=2"], [{"CPU": 1}, {"CPU": 4, "GPU": 2}], (2, 2)),
        (
            ["hardware=gpu", "hardware.devices=2"],
            [{"CPU": 4, "GPU": 1}, {"CPU": 4, "GPU": 1}],
            ["hardware=gpu", "2 CPUs", "2 GPUs", "hardware.devices"],
        ),
        (["hardware=cpu", "hardware.threads=8"], [{"CPU": 4}, {"CPU": 4}], ["8 CPUs", "0 GPUs", "hardware.threads"]),
        (["hardware=gpu"], [{"CPU": 4}], ["hardware=gpu", "1 CPUs", "1 GPUs"]),
        (
            ["hardware=ddp_cpu", "hardware.num_nodes=2", "optim.batch_size=16"],
            [{"CPU": 4}],
            ["hydra/launcher=ray", "hardware.num_nodes=1"],
        ),
    ],
)
def test_a_job_takes_what_its_devices_need_of_one_node(
    settings: list[str],
    nodes: list[dict[str, float]],
    needs: tuple[int, int] | list[str],
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ftlab.launch.ray import _resources

    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": resources} for resources in nodes])
    job = Job(bench.config("needs", *settings), bench.folder, [])
    if isinstance(needs, list):
        with refused(ConfigError, *needs):
            _resources(job)
    else:
        assert _resources(job) == {"num_cpus": needs[0], "num_gpus": needs[1]}


def start(bench: Bench, sweep: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "train.py"), "-m", "hydra/launcher=ray"),
            *("model=hf", "model.name=tiny", "dataset=text_files", "dataset.source.train=rows.csv"),
            *("budget=smoke", "tracker=none", *WAITING_METHOD, f"sweep.dir={sweep}", *arguments),
        ],
        cwd=bench.folder,  # paths are relative to it, in the tasks too
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1"},
    )


def records(bench: Bench, sweep: str) -> list[RunRecord]:
    folder = bench.folder / sweep
    return [record for _, record in find_records(folder)] if folder.exists() else []


def jobs_that_wait(sweep: Path) -> list[Path]:
    """Return the jobs of which every rank waits; Ray begins with whichever it likes, and one that waits hears all."""
    runs = find_records(sweep) if sweep.exists() else []
    return [run for run, record in runs if len(list(run.glob("waits-*"))) == record.config["hardware"]["devices"]]


@pytest.mark.slow
def test_an_interrupt_cancels_the_tasks_and_the_same_command_ends_jobs_of_one_and_of_two_processes(
    bench: Bench,
) -> None:
    arguments = ("ray", "hardware=cpu,ddp_cpu")
    process = start(bench, *arguments)
    until(lambda: process.poll() is not None or jobs_that_wait(bench.folder / "ray"), "a job trains")
    assert process.poll() is None, process.communicate()[1]
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    children += [psutil.Process(record.process.pid) for record in records(bench, "ray")]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT, err
    assert "SIGINT" in err
    _, alive = psutil.wait_procs(children, timeout=240)
    assert not alive
    assert {record.status for record in records(bench, "ray")} == {"interrupted"}

    (bench.folder / "ray" / "go").touch()
    process = start(bench, *arguments)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert "report.html" in out
    found = records(bench, "ray")
    assert sorted((record.config["hardware"]["name"], record.status) for record in found) == [
        ("cpu", "completed"),
        ("ddp_cpu", "completed"),
    ]
    assert {record.hardware.devices for record in found} == {1, 2}
    assert any(len(record.resumed_at) == 1 for record in found)


@pytest.fixture
def executor(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """Queue on a cluster of this test's own, which ends with it."""
    from ftlab.launch.ray import RayExecutor, _connect

    monkeypatch.chdir(bench.folder)
    _connect("local")
    yield RayExecutor("local", None)
    ray.shutdown()


@pytest.mark.slow
def test_jobs_are_added_and_cancelled_while_others_run(executor: Executor, bench: Bench) -> None:
    tell_of_jobs_added_and_cancelled_while_others_run(executor, bench, "ray-queue")


@pytest.mark.slow
def test_an_exception_in_the_loop_leaves_a_checkpoint_and_no_process(executor: Executor, bench: Bench) -> None:
    left, folder = cut_while_jobs_run(executor, bench, "ray-cut")
    (ended,) = left
    assert isinstance(ended, Ended)
    assert ended.outcome.stop_reason == "interrupted"
    record = read_record(folder)
    assert record.status == "interrupted"
    assert not psutil.pid_exists(record.process.pid)
    assert resume_points(folder / FOLDER)
