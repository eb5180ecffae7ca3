"""A sweep as a user runs it: real processes, a tiny model, a job that fails among others that do not."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import yaml

from ftlab.record import RunRecord, find_records
from tests.rows import classification_csv
from tests.tiny import save_tiny

ROOT = Path(__file__).parents[1]
BROKEN = """# Partial tuning of more blocks than there are
_target_: ftlab.methods.selective.Partial
name: broken
layers: 9
lr: 1e-3
"""


@dataclass
class Workplace:
    """A user's folder outside the repository: a model, a file, a method of their own."""

    folder: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        model = f"model.name={self.folder / 'tiny'}"
        data = f"dataset.source.train={self.folder / 'rows.csv'}"
        common = [
            "model=hf",
            model,
            "dataset=text_files",
            data,
            "budget=smoke",
            "--config-dir",
            str(self.folder / "mine"),
        ]
        return subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *common, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1"},
        )

    def train(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def records(self, sweep: str) -> dict[str, tuple[Path, RunRecord]]:
        return {record.method: (folder, record) for folder, record in find_records(self.folder / sweep)}


def _job_in_training(sweep: Path) -> int:
    """Wait until the sweep's first job has its model; return its process id."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        started = find_records(sweep) if sweep.exists() else []
        if started and started[0][1].parameters is not None:
            return started[0][1].process.pid
        time.sleep(0.1)
    raise AssertionError(f"no job began to train in {sweep}")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("workplace")
    save_tiny("bert", folder / "tiny")
    (folder / "mine" / "method").mkdir(parents=True)
    (folder / "mine" / "method" / "broken.yaml").write_text(BROKEN)
    classification_csv(folder / "rows.csv")
    return Workplace(folder)


@pytest.fixture(scope="module")
def sweep(workplace: Workplace) -> subprocess.CompletedProcess[str]:
    return workplace.train("-m", "method=lora,broken,full", "sweep.dir=sweep")


def test_a_failed_job_stops_no_other_and_is_told(sweep: subprocess.CompletedProcess[str], workplace: Workplace) -> None:
    assert sweep.returncode == 1, sweep.stderr
    assert "method.layers=9 is more than the model has: it has 2 transformer blocks." in sweep.stderr
    assert "Traceback" not in sweep.stderr
    records = workplace.records("sweep")
    assert {method: record.status for method, (_, record) in records.items()} == {
        "lora": "completed",
        "broken": "failed",
        "full": "completed",
    }
    failure = records["broken"][1].failure
    assert failure is not None
    assert failure.message.startswith("method.layers=9")


def test_the_sweep_ends_with_a_table_and_three_files(
    sweep: subprocess.CompletedProcess[str], workplace: Workplace
) -> None:
    for name in ("lora", "broken", "full", "accuracy", "macro-F1", "failed"):
        assert name in sweep.stdout
    for name in ("comparison.md", "comparison.csv", "report.html"):
        assert (workplace.folder / "sweep" / name).stat().st_size > 0
        assert name in sweep.stdout


@pytest.mark.usefixtures("sweep")
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_leaves_all_that_a_reader_needs(method: str, workplace: Workplace) -> None:
    folder, record = workplace.records("sweep")[method]
    assert {"record.json", "config.yaml", "metrics.csv", "predictions.parquet", "adapter", "logs"} == {
        path.name for path in folder.iterdir()
    }
    metrics = record.metrics["classification"]["test"]
    assert {"loss", "accuracy", "macro_f1"} <= set(metrics)
    assert all(metric.value is not None and metric.n == record.data.rows["test"] for metric in metrics.values())
    assert record.cost.optimizer_steps == 4
    assert record.cost.examples_seen == 4 * 16
    assert 0 < record.cost.tokens_seen <= 4 * 16 * 32
    assert record.cost.peak_memory_bytes >= record.cost.baseline_memory_bytes > 0
    assert record.parameters.adapter_bytes > 4 * record.parameters.trainable
    assert set(record.checks) - {"adapter_off"} == {"gradients", "frozen_unchanged", "reload"}
    assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
    predictions = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert len({row["example_id"] for row in predictions}) == len(predictions) == record.data.rows["test"]
    right = sum(row["label"] == row["prediction"] for row in predictions) / len(predictions)
    assert right == pytest.approx(metrics["accuracy"].value)
    assert list((folder / "logs" / "wandb").glob("offline-run-*/run-*.wandb"))


@pytest.mark.usefixtures("sweep")
def test_methods_of_one_sweep_saw_the_same_data(workplace: Workplace) -> None:
    records = workplace.records("sweep")
    lora, full = records["lora"][1], records["full"][1]
    assert lora.data == full.data
    assert lora.base_model == full.base_model
    assert lora.fingerprint != full.fingerprint
    ids = [
        pq.read_table(records[name][0] / "predictions.parquet")["example_id"].to_pylist() for name in ("lora", "full")
    ]
    assert ids[0] == ids[1]


@pytest.mark.usefixtures("sweep")
def test_the_job_received_a_resolved_configuration(workplace: Workplace) -> None:
    folder, record = workplace.records("sweep")["lora"]
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved == json.loads(json.dumps(record.config))
    assert "${" not in (folder / "config.yaml").read_text()


@pytest.mark.usefixtures("sweep")
def test_what_is_complete_is_not_run_again_and_the_comparison_can_be_rebuilt(workplace: Workplace) -> None:
    before = {method: record.started_at for method, (_, record) in workplace.records("sweep").items()}
    done = workplace.train("-m", "method=lora,full", "sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete already, not run again") == 2
    assert {method: record.started_at for method, (_, record) in workplace.records("sweep").items()} == before


@pytest.mark.slow
def test_a_missing_file_fails_the_run_in_one_sentence(workplace: Workplace) -> None:
    done = workplace.train("dataset.source.train=nowhere.csv", "sweep.dir=missing", "tracker=none")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "nowhere.csv" in errors[0]
    assert [record.status for _, record in find_records(workplace.folder / "missing")] == ["failed"]


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_the_run_with_its_step(workplace: Workplace) -> None:
    done = workplace.train(
        "method=full", "optim.lr=1e30", "optim.grad_clip=null", "optim.warmup=0", "sweep.dir=diverged", "tracker=none"
    )
    assert done.returncode == 1
    ((folder, record),) = find_records(workplace.folder / "diverged")
    assert record.status == "failed"
    assert record.failure.step is not None
    assert record.failure.step >= 1
    assert "the training loss became" in record.failure.message
    assert not (folder / "adapter").exists()


@pytest.mark.slow
def test_an_interrupt_leaves_a_record_and_no_process(workplace: Workplace) -> None:
    process = workplace.start("budget.steps=100000", "sweep.dir=stopped", "tracker=none")
    _job_in_training(workplace.folder / "stopped")
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "stopped by SIGINT" in err
    assert [record.status for _, record in find_records(workplace.folder / "stopped")] == ["interrupted"]
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, alive


@pytest.mark.slow
def test_a_killed_job_is_recorded_and_stops_no_other(workplace: Workplace) -> None:
    process = workplace.start("-m", "method=lora,full", "sweep.dir=killed", "tracker=none", "budget.steps=200")
    folder = workplace.folder / "killed"
    job = _job_in_training(folder)
    os.kill(job, signal.SIGKILL)
    process.communicate(timeout=300)
    assert process.returncode == 1
    records = workplace.records("killed")
    assert (records["lora"][1].status, records["full"][1].status) == ("interrupted", "completed")
    assert records["lora"][1].failure.type == "SIGKILL"


@pytest.mark.slow
def test_two_sweeps_do_not_run_one_folder(workplace: Workplace) -> None:
    first = workplace.start("budget.steps=100000", "sweep.dir=shared", "tracker=none")
    _job_in_training(workplace.folder / "shared")
    second = workplace.train("budget.steps=100000", "sweep.dir=shared", "tracker=none")
    assert second.returncode == 2
    assert "another sweep is at work in shared: wait for it" in second.stderr
    assert [record.status for _, record in find_records(workplace.folder / "shared")] == ["running"]
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert first.returncode == 128 + signal.SIGTERM
    assert [record.status for _, record in find_records(workplace.folder / "shared")] == ["interrupted"]


@pytest.mark.slow
def test_shuffled_axes_and_device_counts_of_jobs_with_several_ranks(workplace: Workplace) -> None:
    """Where ranks compose the sweep again, each shuffles it for itself, and they train different jobs as one."""
    arguments = ["seed=shuffle(range(0,2))", "hardware.devices=2,1", "hardware=ddp_cpu", "sweep.dir=shuffled"]
    done = workplace.train("-m", *arguments, "tracker=wandb", "hydra.launcher.jobs=2")
    assert done.returncode == 0, done.stderr
    found = find_records(workplace.folder / "shuffled")
    assert {(record.seed, record.hardware.devices) for _, record in found} == {(0, 1), (0, 2), (1, 1), (1, 2)}
    assert {record.status for _, record in found} == {"completed"}
    for folder, _ in found:
        assert len(list((folder / "logs" / "wandb").glob("offline-run-*/run-*.wandb"))) == 1  # rank 0's


@pytest.mark.slow
def test_a_method_from_outside_the_repository(workplace: Workplace) -> None:
    """One Python file and one YAML of the user's, as docs/add_a_method.md shows them."""
    page = (ROOT / "docs" / "add_a_method.md").read_text(encoding="utf-8")
    python = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    yamls = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert python
    assert len(yamls) == 2
    (workplace.folder / "mine.py").write_text(python[1], encoding="utf-8")
    for name, content in zip(("randlora", "mine"), yamls, strict=True):
        (workplace.folder / "mine" / "method" / f"{name}.yaml").write_text(content, encoding="utf-8")
    done = workplace.train("-m", "method=randlora,mine", "sweep.dir=own", "tracker=none")
    assert done.returncode == 0, done.stderr
    records = workplace.records("own")
    assert set(records) == {"randlora", "mine"}
    for _, record in records.values():
        assert record.trainable
        assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
        assert all(
            any(re.search(p, name) for p in record.config["method"]["expect"]["trains"]) for name in record.trainable
        )
