"""Sweeps on a real Slurm: ranks, nodes, preemption, a failing rank, a client that goes away."""

import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.cli import app, training
from ftlab.launch.slurm_queue import queue_states, read_job_id
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record
from tests.launch.sweeping import FAILING, WAITING, make_place, until, until_it_waits

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.usefixtures("slurm"),
    pytest.mark.xdist_group("slurm"),
]
# Dropout on, so that a rank has a state of its own to go on with; more steps than ranks take between two votes.
RUN = ("budget.steps=40", "budget.validations=3", "model.dropout=0.1")


class Workplace:
    """A user's folder on the login node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "conf"
        self.settings = [*make_place(folder), "hardware=ddp_cpu", "--config-dir", str(self.conf)]
        (self.conf / "method").mkdir(parents=True)
        for name, module in (("failing", FAILING), ("waiting", WAITING)):
            method = f"_target_: {name}.{name.title()}\nname: {name}\nlr: 1e-3\n"
            (self.conf / "method" / f"{name}.yaml").write_text(method)
            (folder / f"{name}.py").write_text(module)

    def arguments(self, sweep: str, *overrides: str) -> list[str]:
        launcher = ("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=30")
        return ["-m", *launcher, *self.settings, f"sweep.name={sweep}", *overrides]

    def start(self, sweep: str, *overrides: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, ROOT / "train.py", *self.arguments(sweep, *overrides)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        )

    def train(self, sweep: str, *overrides: str) -> subprocess.CompletedProcess[str]:
        """Run a sweep to its end; where Slurm starts nothing at all, which was seen once, cancel and submit again."""
        for _ in range(2):
            process = self.start(sweep, *overrides)
            try:
                out, err = process.communicate(timeout=900)
            except subprocess.TimeoutExpired:
                print(self._what_hangs(sweep))
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=300)
                if any((self.folder / "outputs" / sweep).glob("*/logs/job.log")):  # a rank came to life
                    break
                empty_queue()
            else:
                return subprocess.CompletedProcess(process.args, process.returncode, out, err)
        pytest.fail(f"{sweep} did not end in time\n{out}\n{err}")

    def _what_hangs(self, sweep: str) -> str:
        """Return what the queue says, and the end of what each daemon and each rank wrote."""
        asked = (["squeue", "--format=%i %T %r %N", "--states=all"], ["scontrol", "show", "nodes"], ["ps", "axf"])
        said = [subprocess.run(words, capture_output=True, text=True, check=False).stdout for words in asked]
        slurm, runs = Path(os.environ["SLURM_CONF"]).parent, self.folder / "outputs" / sweep
        logs = sorted([*slurm.glob("*.log"), *runs.glob("*/logs/*.log"), *runs.glob(".submitit/**/*log.*")])
        return "\n".join([*said, *(f"{log}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)])

    def records(self, sweep: str) -> dict[str, tuple[Path, RunRecord]]:
        return {record.method: (folder, record) for folder, record in find_records(self.folder / "outputs" / sweep)}

    def the_run(self, sweep: str, ranks: int = 1) -> Path:
        """Return the folder of the run that waits, once all of its ranks do."""
        root = self.folder / "outputs" / sweep
        until(lambda: list(root.glob("waiting-*/waits-*")), "a job trains")
        (run,) = root.glob("waiting-*")
        until_it_waits(run, ranks)
        return run


def _step(folder: Path) -> int:
    record = read_record(folder) if (folder / FILE_NAME).exists() else None
    return record.progress.step if record and record.progress else 0


def queue(*options: str) -> str:
    """Return what squeue says."""
    return subprocess.run(["squeue", "--noheader", *options], capture_output=True, text=True, check=True).stdout


def empty_queue() -> None:
    subprocess.run(["scancel", f"--user={getpass.getuser()}"], check=True)
    until(lambda: not queue(), "the queue is empty")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("login"))


@pytest.fixture(autouse=True)
def _queue(slurm: Path, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in the user's folder, and leave the next test an empty queue, whatever becomes of this one."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
    monkeypatch.setenv("COLUMNS", "200")
    yield
    empty_queue()


@pytest.fixture(scope="module")
def undisturbed(slurm: Path, workplace: Workplace) -> subprocess.CompletedProcess[str]:
    """A sweep of two jobs of two ranks each, one of which fails; the other one finds no reason to wait."""
    folder = workplace.folder / "outputs" / "ranks"
    folder.mkdir(parents=True)
    (folder / "go").touch()
    return workplace.train("ranks", "method=waiting,failing", *RUN)


def results(folder: Path, record: RunRecord) -> tuple[object, object]:
    return record.metrics, pq.read_table(folder / "predictions.parquet").to_pylist()


def test_a_rank_that_fails_ends_its_job_and_is_named(
    undisturbed: subprocess.CompletedProcess[str], workplace: Workplace
) -> None:
    assert undisturbed.returncode == 1, undisturbed.stdout + undisturbed.stderr
    assert "rank 1: rank 1 has had enough" in undisturbed.stderr
    folder, record = workplace.records("ranks")["failing"]
    assert record.status == "failed"
    assert "RuntimeError: rank 1 has had enough" in (folder / "logs" / "rank1.log").read_text()
    assert "on_train_batch_end" in record.failure.traceback


@pytest.mark.usefixtures("undisturbed")
def test_a_job_of_two_ranks_beside_it_completes_and_is_not_submitted_again(workplace: Workplace) -> None:
    folder, record = workplace.records("ranks")["waiting"]
    assert record.status == "completed"
    assert record.hardware.devices == 2
    assert {check.status for check in record.checks.values()} == {"passed"}
    assert record.cost.examples_seen == 40 * 16
    assert read_job_id(folder) is None
    before = queue("--states=all")
    training.train(workplace.arguments("ranks", "method=waiting", *RUN))
    assert queue("--states=all") == before
    assert workplace.records("ranks")["waiting"] == (folder, record)


@pytest.mark.usefixtures("undisturbed")
def test_a_preempted_job_on_two_nodes_is_saved_requeued_and_gone_on_with_at_its_step(workplace: Workplace) -> None:
    """The result is that of the job on one node that nobody disturbed, to the bit."""
    process = workplace.start("preempted", "method=waiting", *RUN, "hardware.devices=1", "hardware.num_nodes=2")
    run = workplace.the_run("preempted", ranks=2)
    job_id = read_job_id(run)
    subprocess.run(["scancel", "--signal=USR2", job_id], check=True)
    out, err = process.communicate(timeout=900)
    assert process.returncode == 0, out + err
    record = read_record(run)
    assert (record.status, record.hardware.devices) == ("completed", 2)
    (at,) = record.resumed_at
    assert 3 <= at < 40
    assert results(run, record) == results(*workplace.records("ranks")["waiting"])


def test_the_client_may_go_and_come_back_and_a_job_whose_node_fails_goes_on_elsewhere(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told of the node: the job is killed, and Slurm puts it back into the queue."""
    settings = ("method=waiting", "hardware=cpu", *RUN, "sweep.checkpoint_s=0")
    process = workplace.start("away", *settings)
    run = workplace.the_run("away")
    job_id = read_job_id(run)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT
    assert f"scancel {job_id}" in out

    until(lambda: _step(run) > 0, "the record tells the step")
    monkeypatch.setattr(sys, "argv", ["ftlab", "status", "outputs/away"])
    with pytest.raises(SystemExit):
        app.main()
    status = capsys.readouterr().out
    assert re.search(rf"running +training .*\d+/40 .*{job_id} RUNNING", status), status
    assert read_record(run).resumed_at == []

    node = queue(f"--jobs={job_id}", "--format=%N").strip()
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True)
    try:
        back = workplace.train("away", *settings)
    finally:
        # it may be back by itself
        subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=False, capture_output=True)
    assert back.returncode == 0, back.stdout + back.stderr
    record = read_record(run)
    assert (record.status, len(record.resumed_at)) == ("completed", 1)
    assert queue_states([job_id]).get(job_id) == "COMPLETED"


@pytest.mark.parametrize(
    ("overrides", "culprits"),
    [
        (["hydra.launcher.tasks_per_node=1"], ["hydra.launcher.tasks_per_node=1", "hardware.devices=2"]),
        (["hydra.launcher.nodes=2"], ["hydra.launcher.nodes=2", "hardware.num_nodes=1"]),
        (["hydra.launcher.signal_delay_s=0"], ["hydra.launcher.signal_delay_s=0", "1800", "timeout_min"]),
        (["hydra.launcher.gpus_per_node=1"], ["hydra.launcher.gpus_per_node=1", "hardware.devices=2"]),
        (["+hydra.launcher.gpus_per_task=1"], ["hydra.launcher.gpus_per_task", "hardware=slurm_ddp"]),
        (["+hydra.launcher.partiton=gpu"], ["hydra.launcher", "partiton"]),
        (["hydra.launcher.timeout_min=soon"], ["hydra.launcher.timeout_min=soon"]),
        (["hydra.launcher.timeout_min=null"], ["hydra.launcher.timeout_min"]),
        (["hydra.launcher.cpus_per_task=two"], ["hydra.launcher", "cpus_per_task"]),
        (["sweep.timeout_min=5"], ["sweep.timeout_min", "hydra.launcher.timeout_min"]),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_submitted(
    overrides: list[str], culprits: list[str], workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = queue("--states=all")
    with pytest.raises(SystemExit) as stopped:
        training.train(workplace.arguments("refused", "method=lora", *overrides))
    err = capsys.readouterr().err
    assert stopped.value.code == 2, err
    assert [culprit for culprit in culprits if culprit not in err] == [], err
    assert len(err.splitlines()) == 1
    assert queue("--states=all") == before
    assert not (workplace.folder / "outputs" / "refused").exists()


@pytest.mark.parametrize(("script", "methods"), [("run", "waiting"), ("sweep", "waiting,head")])
def test_a_template_saves_when_time_is_up_and_goes_on_after_the_requeue(
    script: str, methods: str, workplace: Workplace
) -> None:
    """What `--signal=B:TERM@120` sends is sent by hand here."""
    shutil.copy(ROOT / "train.py", workplace.folder)
    resources = ["--gpus-per-node=0", "--cpus-per-task=2", f"--chdir={workplace.folder}"]
    template = ROOT / "scripts" / "slurm" / f"{script}.sbatch"
    submitted = subprocess.run(
        ["sbatch", "--parsable", *resources, template, f"method={methods}", *workplace.settings, *RUN],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    job = submitted.stdout.strip()
    run = workplace.the_run(f"slurm-{job}", ranks=2)
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True)
    until(lambda: read_record(run).status == "interrupted", "the run is interrupted")
    log = workplace.folder / f"slurm-{job}.out"
    until(lambda: queue_states([job]).get(job) == "COMPLETED", "the job completes")
    records = workplace.records(f"slurm-{job}")
    assert {record.status for _, record in records.values()} == {"completed"}, log.read_text()
    assert len(records) == len(methods.split(","))
    assert len(read_record(run).resumed_at) == 1
