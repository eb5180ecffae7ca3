"""The command of a sweep whose jobs, and which itself, are killed and interrupted, and which is given again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ftlab.cli import training
from ftlab.config.run_config import RunConfig
from ftlab.core.errors import UserError
from ftlab.record import RunRecord, find_records, read_record
from ftlab.record.checkpoints import resume_points
from tests.fixtures.refusals import refused
from tests.launch.sweeping import Bench, directory_of, until, until_it_waits
from tests.launch.test_resume import RUN, results

ROOT = Path(__file__).parents[2]
WAITING = "# Full fine-tuning that waits for a signal\n_target_: waiting.Waiting\nname: waiting\nlr: 1e-3\n"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("commands")]


class Command:
    """`train.py -m` with three jobs, two at a time; the second one waits at its third step to be told to stop."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.folder = bench.folder / "disturbed"
        conf = bench.folder / "conf"
        (conf / "method").mkdir(parents=True)
        (conf / "method" / "waiting.yaml").write_text(WAITING)
        axes = ["method=lora,waiting,full", "hydra.launcher.jobs=2", f"sweep.dir={self.folder}"]
        self.arguments = ["-m", "--config-dir", str(conf), *axes, *bench.settings, *RUN]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, ROOT / "train.py", *self.arguments],
            cwd=self.bench.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def config(self, method: str) -> RunConfig:
        waiting = ["method=full", "method._target_=waiting.Waiting", "method.name=waiting", "method.lr=1e-3"]
        return self.bench.config("disturbed", *(waiting if method == "waiting" else [f"method={method}"]), *RUN)

    def directory(self, method: str) -> Path:
        """Return the folder of a method's run, once it is there."""
        until(lambda: list(self.folder.glob(f"{method}-*/record.json")), f"{method} is begun")
        (record,) = self.folder.glob(f"{method}-*/record.json")
        return record.parent

    def until_saved(self, method: str, step: int) -> None:
        points = self.directory(method) / "checkpoints"
        until(lambda: any(point.step >= step for point in resume_points(points)), f"{method} has come to step {step}")

    def records(self) -> dict[str, tuple[Path, RunRecord]]:
        return {record.method: (folder, record) for folder, record in find_records(self.folder)}

    def states(self) -> dict[str, str]:
        return {method: record.status for method, (_, record) in self.records().items()}


def leaves_nothing(family: list[psutil.Process]) -> bool:
    """Return whether all of these end; they have minutes."""
    assert family
    _, alive = psutil.wait_procs(family, timeout=240)
    return not alive


def test_a_sweep_whose_jobs_and_commands_are_killed_ends_as_if_nothing_had_happened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.chdir(bench.folder)
    command = Command(bench)

    client = command.start()
    command.until_saved("lora", 1)
    os.kill(read_record(command.directory("lora")).process.pid, signal.SIGKILL)
    command.until_saved("full", 2)  # it begins when the one that was killed is over
    waits = command.directory("waiting")
    until_it_waits(waits)
    killed = command.records()["lora"][1]
    assert (killed.status, killed.failure.type) == ("interrupted", "SIGKILL")
    with refused(UserError, command.folder, "sweep.name"):  # another command in the same folder
        bench.run([command.config("waiting")])
    assert read_record(waits).status == "running"
    family = psutil.Process(client.pid).children(recursive=True)
    client.kill()  # it has no time for a word: its jobs notice, save, and end
    client.communicate()
    assert leaves_nothing(family)
    assert command.states() == dict.fromkeys(("lora", "waiting", "full"), "interrupted")

    (waits / "waits-0").unlink()
    client = command.start()
    until_it_waits(waits)
    family = psutil.Process(client.pid).children(recursive=True)
    client.send_signal(signal.SIGINT)
    out, _ = client.communicate(timeout=300)
    assert client.returncode == 128 + signal.SIGINT, out
    assert "SIGINT" in out
    assert leaves_nothing(family)
    states = command.states()
    assert states["waiting"] == "interrupted"
    assert set(states.values()) <= {"interrupted", "completed"}

    training.train(command.arguments)
    assert command.states() == dict.fromkeys(("lora", "waiting", "full"), "completed")
    found = command.records()
    assert len(found["waiting"][1].resumed_at) == 2
    for method in ("lora", "full"):
        whole = bench.config("whole", f"method={method}", *RUN)
        (expected,) = bench.run([whole])
        folder, record = found[method]
        assert record.resumed_at
        assert results(folder, record) == results(directory_of(whole), expected)
