"""Sweeps on a real Slurm: ranks, nodes, preemption, a failing rank, a client that goes away."""

import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ftlab.launch.slurm_queue import queue_states, read_ticket
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record
from tests.launch.sweeping import FAILING, make_place

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.usefixtures("slurm")]


class Workplace:
    """A user's folder on the login node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = [*make_place(folder), "hardware=ddp_cpu"]
        (folder / "conf" / "method").mkdir(parents=True)
        (folder / "conf" / "method" / "failing.yaml").write_text("_target_: failing.Failing\nname: failing\nlr: 1e-3\n")
        (folder / "failing.py").write_text(FAILING)

    def start(self, sweep: str, *overrides: str) -> subprocess.Popen[str]:
        settings = (*self.settings, "hydra.launcher.timeout_min=30", f"sweep.name={sweep}")
        return subprocess.Popen(
            [sys.executable, ROOT / "train.py", "-m", "hydra/launcher=submitit_slurm", *settings, *overrides],
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
                out, err = process.communicate(timeout=400)
            except subprocess.TimeoutExpired:
                print(self._what_hangs(sweep))
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
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

    def the_run(self, sweep: str) -> Path:
        """Return the folder of the only run, once it trains."""
        root = self.folder / "outputs" / sweep
        wait_for(lambda: any(_step(folder) > 0 for folder in root.glob("*/")), "it trains")
        return next(folder for folder in root.glob("*/") if _step(folder) > 0)


def _step(folder: Path) -> int:
    record = read_record(folder) if (folder / FILE_NAME).exists() else None
    return record.progress.step if record and record.progress else 0


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it never came about that {what}"
        time.sleep(0.2)


def empty_queue() -> None:
    subprocess.run(["scancel", f"--user={getpass.getuser()}"], check=True)
    wait_for(lambda: not subprocess.run(["squeue", "--noheader"], capture_output=True).stdout, "the queue is empty")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(tmp_path_factory.mktemp("login"))


@pytest.fixture(autouse=True)
def queue(slurm: Path) -> Iterator[None]:
    """Leave the next test an empty queue, whatever becomes of this one."""
    yield
    empty_queue()


def results(folder: Path, record: RunRecord) -> tuple[object, object]:
    return record.metrics, pq.read_table(folder / "predictions.parquet").to_pylist()


def test_two_jobs_of_two_ranks_each(workplace: Workplace) -> None:
    done = workplace.train("ranks", "method=lora,full")
    assert done.returncode == 0, done.stdout + done.stderr
    records = workplace.records("ranks")
    assert {method: record.status for method, (_, record) in records.items()} == {
        "lora": "completed",
        "full": "completed",
    }
    for folder, record in records.values():
        assert record.hardware.devices == 2
        assert {check.status for check in record.checks.values()} == {"passed"}
        assert record.cost.examples_seen == 4 * 16
        assert read_ticket(folder) is None
    again = workplace.train("ranks", "method=lora,full")
    assert again.stdout.count("complete already, not run again") == 2


def test_two_nodes(workplace: Workplace) -> None:
    done = workplace.train("nodes", "method=lora", "hardware.devices=1", "hardware.num_nodes=2")
    assert done.returncode == 0, done.stdout + done.stderr
    _, record = workplace.records("nodes")["lora"]
    assert (record.status, record.hardware.devices) == ("completed", 2)


def test_a_preempted_job_is_saved_requeued_and_gone_on_with_at_its_step(workplace: Workplace) -> None:
    """Dropout on, two ranks: the result is that of a job that nobody disturbed, to the bit."""
    settings = ("method=lora", "budget.steps=400", "budget.validations=4", "model.dropout=0.1")
    whole = workplace.train("whole", *settings)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    process = workplace.start("preempted", *settings)
    run = workplace.the_run("preempted")
    ticket = read_ticket(run)
    subprocess.run(["scancel", "--signal=USR2", ticket], check=True)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    record = read_record(run)
    assert record.status == "completed"
    assert len(record.resumed_at) == 1
    assert 0 < record.resumed_at[0] < 400
    assert results(run, record) == results(*workplace.records("whole")["lora"])


def test_a_job_whose_node_fails_goes_on_elsewhere(workplace: Workplace) -> None:
    """Nobody is told: the job is killed, and Slurm puts it back into the queue."""
    process = workplace.start("lost", "method=lora", "hardware=cpu", "budget.steps=400", "sweep.checkpoint_s=0")
    run = workplace.the_run("lost")
    listing = ["squeue", "--noheader", f"--jobs={read_ticket(run)}", "--format=%N"]
    node = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"], check=True)
    try:
        out, err = process.communicate(timeout=300)
    finally:
        # it may be back by itself
        subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=False, capture_output=True)
    assert process.returncode == 0, out + err
    record = read_record(run)
    assert record.status == "completed"
    assert len(record.resumed_at) == 1


def test_a_rank_that_fails_ends_its_job_and_is_named(workplace: Workplace) -> None:
    done = workplace.train("failing", "method=failing,lora", "--config-dir", str(workplace.folder / "conf"))
    assert done.returncode == 1
    assert "rank 1: rank 1 has had enough" in done.stderr
    records = workplace.records("failing")
    assert {method: record.status for method, (_, record) in records.items()} == {
        "failing": "failed",
        "lora": "completed",
    }
    folder, record = records["failing"]
    assert "RuntimeError: rank 1 has had enough" in (folder / "logs" / "rank1.log").read_text()
    assert "on_train_batch_end" in record.failure.traceback


def test_the_client_may_go_and_come_back(workplace: Workplace) -> None:
    settings = ("method=lora", "budget.steps=1000", "hardware=cpu")
    process = workplace.start("away", *settings)
    run = workplace.the_run("away")
    ticket = read_ticket(run)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert f"scancel {ticket}" in out
    status = subprocess.run(
        [sys.executable, "-m", "ftlab", "status", "outputs/away"],
        cwd=workplace.folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert re.search(rf"running +\d+/1000 .*{ticket} RUNNING", status.stdout), status.stdout
    back = workplace.train("away", *settings)
    assert back.returncode == 0, back.stdout + back.stderr
    record = read_record(run)
    assert (record.status, record.resumed_at) == ("completed", [])
    assert queue_states([ticket]).get(ticket) == "COMPLETED"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["hydra.launcher.tasks_per_node=1"], "hydra.launcher.tasks_per_node=1 and hardware.devices=2 contradict"),
        (["hydra.launcher.nodes=2"], "hydra.launcher.nodes=2 and hardware.num_nodes=1 contradict each other"),
        (["hydra.launcher.signal_delay_s=0"], "hydra.launcher.signal_delay_s=0 leaves no time to save"),
        (["hydra.launcher.gpus_per_node=1"], "hydra.launcher.gpus_per_node=1 does not fit hardware.devices=2"),
        (["+hydra.launcher.gpus_per_task=1"], "hydra.launcher.gpus_per_task hides a task's GPU from its peers"),
        (["+hydra.launcher.partiton=gpu"], "hydra.launcher has a setting that submitit refuses:"),
        (["hydra.launcher.timeout_min=soon"], "hydra.launcher.timeout_min=soon is not valid"),
        (["hydra.launcher.timeout_min=null"], "hydra.launcher.timeout_min is not set"),
        (["hydra.launcher.cpus_per_task=two"], "hydra.launcher has a setting that submitit refuses:"),
        (["sweep.timeout_min=5"], "on a cluster use hydra.launcher.timeout_min"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_submitted(
    overrides: list[str], sentence: str, workplace: Workplace
) -> None:
    before = subprocess.run(["squeue", "--noheader", "--states=all"], capture_output=True, text=True).stdout
    done = workplace.train("refused", "method=lora", *overrides)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert subprocess.run(["squeue", "--noheader", "--states=all"], capture_output=True, text=True).stdout == before


@pytest.mark.parametrize(("script", "choice"), [("run", ["method=lora"]), ("sweep", ["method=lora,prefix"])])
def test_a_template_saves_when_time_is_up_and_goes_on_after_the_requeue(
    script: str, choice: list[str], workplace: Workplace
) -> None:
    """What `--signal=B:TERM@120` sends is sent by hand here."""
    shutil.copy(ROOT / "train.py", workplace.folder)
    settings = [*workplace.settings, "budget.steps=600"]
    resources = ["--gpus-per-node=0", "--cpus-per-task=2", f"--chdir={workplace.folder}"]
    template = ROOT / "scripts" / "slurm" / f"{script}.sbatch"
    submitted = subprocess.run(
        ["sbatch", "--parsable", *resources, template, *choice, *settings],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    job = submitted.stdout.strip()
    run = workplace.the_run(f"slurm-{job}")
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True)
    wait_for(lambda: read_record(run).status == "interrupted", "the run is interrupted")
    log = workplace.folder / f"slurm-{job}.out"
    wait_for(lambda: queue_states([job]).get(job) == "COMPLETED", "the job completes", seconds=240)
    records = workplace.records(f"slurm-{job}")
    assert {record.status for _, record in records.values()} == {"completed"}, log.read_text()
    assert len(records) == len(choice[0].split(","))
    assert len(read_record(run).resumed_at) == 1
