"""A sweep as a user runs it: real processes, a tiny model, a job that fails among others that do not."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from ftlab.cli import training
from ftlab.cli.error_messages import report_errors
from ftlab.launch.local import LocalExecutor
from ftlab.record import RunRecord, find_records
from ftlab.sweeps.interrupts import signals_as_interrupts
from ftlab.sweeps.jobs import run_name, run_sweep
from ftlab.train.recorder import new_record
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.launch.queueing import Scripted
from tests.rows import classification_csv

ROOT = Path(__file__).parents[2]
BROKEN = """# Partial tuning of more blocks than there are
_target_: ftlab.methods.partial.Partial
name: broken
layers: 9
lr: 1e-3
"""


# One worker has all that reads the sweep below; jobs of the slow tests come from the process that those of others do.
reads_the_sweep = pytest.mark.xdist_group("sweep")
of_the_commands = pytest.mark.xdist_group("commands")


@dataclass
class Workplace:
    """A user's folder outside the repository: a model, a file, a method of their own."""

    folder: Path

    def arguments(self, *more: str) -> list[str]:
        data = ["dataset=text_files", f"dataset.source.train={self.folder / 'rows.csv'}"]
        own = ["--config-dir", str(self.folder / "mine")]
        return ["model=hf", f"model.name={tiny('bert')}", *data, "budget=smoke", *own, *more]

    def train(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Give a command."""
        return subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *self.arguments(*arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1"},
            timeout=600,
            check=False,
        )

    def train_here(self, *arguments: str) -> int:
        """Do what the command does, in this process, whose jobs need not import anew; return its exit status."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setenv("HYDRA_FULL_ERROR", "1")  # the command line sets it: put back what was there
            patch.setattr(sys, "argv", ["train.py"])
            try:
                training.train(self.arguments(*arguments))
            except SystemExit as stopped:
                return int(stopped.code or 0)
        return 0

    def records(self, sweep: str) -> dict[str, tuple[Path, RunRecord]]:
        return {record.method: (folder, record) for folder, record in find_records(self.folder / sweep)}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "mine" / "method").mkdir(parents=True)
    (folder / "mine" / "method" / "broken.yaml").write_text(BROKEN)
    classification_csv(folder / "rows.csv")
    return Workplace(folder)


@pytest.fixture(scope="module")
def sweep(workplace: Workplace) -> subprocess.CompletedProcess[str]:
    return workplace.train("-m", "method=lora,broken,full", "sweep.dir=sweep")


@reads_the_sweep
def test_a_failed_job_stops_no_other_and_is_told(sweep: subprocess.CompletedProcess[str], workplace: Workplace) -> None:
    assert sweep.returncode == 1, sweep.stderr
    for fact in ("method.layers=9", "2 transformer blocks"):
        assert fact in sweep.stderr
    assert "Traceback" not in sweep.stderr
    records = workplace.records("sweep")
    assert {method: record.status for method, (_, record) in records.items()} == {
        "lora": "completed",
        "broken": "failed",
        "full": "completed",
    }
    failure = records["broken"][1].failure
    assert failure is not None
    assert "method.layers=9" in failure.message


@reads_the_sweep
def test_the_sweep_ends_with_a_table_and_three_files(
    sweep: subprocess.CompletedProcess[str], workplace: Workplace
) -> None:
    for name in ("lora", "broken", "full", "accuracy", "macro-F1", "failed"):
        assert name in sweep.stdout
    for name in ("comparison.md", "comparison.csv", "report.html"):
        assert (workplace.folder / "sweep" / name).stat().st_size > 0
        assert name in sweep.stdout


@reads_the_sweep
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


@reads_the_sweep
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


@reads_the_sweep
@pytest.mark.usefixtures("sweep")
def test_the_job_received_a_resolved_configuration(workplace: Workplace) -> None:
    folder, record = workplace.records("sweep")["lora"]
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved == json.loads(json.dumps(record.config))
    assert "${" not in (folder / "config.yaml").read_text()


@reads_the_sweep
@pytest.mark.usefixtures("sweep")
def test_what_is_complete_is_not_run_again_and_the_comparison_can_be_rebuilt(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = workplace.records("sweep")
    comparison = workplace.folder / "sweep" / "comparison.md"
    comparison.unlink()
    started: list[object] = []
    monkeypatch.setattr(LocalExecutor, "submit", lambda _, job: started.append(job))
    monkeypatch.setattr(training.forkserver, "start", lambda: None)
    assert workplace.train_here("-m", "method=lora,full", "sweep.dir=sweep") == 0
    assert not started
    assert workplace.records("sweep") == before
    assert comparison.exists()
    assert "comparison.md" in capsys.readouterr().out


@pytest.mark.parametrize("retry", ["none", "failed"])
def test_what_was_pruned_is_not_run_again(retry: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = composed("method=full", f"sweep.dir={tmp_path}", f"sweep.retry={retry}", "tracker=none")
    folder = tmp_path / run_name(config)
    pruned = new_record(config, folder, []).model_copy(update={"status": "pruned"})
    pruned.write(folder)
    assert run_sweep([config], tmp_path, Scripted()) == [pruned]
    assert str(folder) in capsys.readouterr().out.replace("\n", ""), "what to delete"


def test_a_job_that_is_cancelled_before_it_starts_is_pruned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Cancelling(Scripted):
        """Cancels the second job when the first one starts."""

        def _start_waiting(self) -> None:
            super()._start_waiting()
            if self._waiting:
                self.cancel(self._waiting[0])

    configs = [composed("method=full", f"sweep.dir={tmp_path}", "tracker=none", f"seed={seed}") for seed in (0, 1)]
    first, second = run_sweep(configs, tmp_path, Cancelling())
    assert (first.status, second.status) == ("failed", "pruned")
    assert run_name(configs[1]) in capsys.readouterr().out


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_sweep_and_is_its_exit_status(
    signum: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signum)

    def sweep() -> None:
        with signals_as_interrupts():
            signal.raise_signal(signum)

    with pytest.raises(SystemExit) as stopped:
        report_errors(sweep)
    assert stopped.value.code == 128 + signum
    assert signum.name in capsys.readouterr().err
    assert signal.getsignal(signum) is before


@pytest.mark.slow
@of_the_commands
def test_a_missing_file_is_told_before_any_run_starts(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    assert workplace.train_here("dataset.source.train=nowhere.csv", "sweep.dir=missing", "tracker=none") == 2
    err = capsys.readouterr().err
    assert "Traceback" not in err
    (told,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert "nowhere.csv" in told
    assert not [*(workplace.folder / "missing").glob("*/record.json")]


@pytest.mark.slow
@of_the_commands
def test_a_loss_that_is_no_number_fails_the_run_with_its_step(workplace: Workplace) -> None:
    rate = ("optim.lr=1e30", "optim.grad_clip=null", "optim.warmup=0")
    assert workplace.train_here("method=full", *rate, "sweep.dir=diverged", "tracker=none") == 1
    ((folder, record),) = find_records(workplace.folder / "diverged")
    assert record.status == "failed"
    assert record.failure.type == "NonFiniteLoss"
    assert record.failure.step is not None
    assert record.failure.step >= 1
    assert not (folder / "adapter").exists()


@pytest.mark.slow
@of_the_commands
def test_shuffled_axes_and_device_counts_of_jobs_with_several_ranks(workplace: Workplace) -> None:
    """Where ranks compose the sweep again, each shuffles it for itself, and they train different jobs as one."""
    arguments = ["seed=shuffle(range(0,2))", "hardware.devices=2,1", "hardware=ddp_cpu", "sweep.dir=shuffled"]
    assert workplace.train_here("-m", *arguments, "tracker=wandb", "hydra.launcher.jobs=2") == 0
    found = find_records(workplace.folder / "shuffled")
    assert {(record.seed, record.hardware.devices) for _, record in found} == {(0, 1), (0, 2), (1, 1), (1, 2)}
    assert {record.status for _, record in found} == {"completed"}
    for folder, _ in found:
        assert len(list((folder / "logs" / "wandb").glob("offline-run-*/run-*.wandb"))) == 1  # rank 0's


@pytest.mark.slow
@of_the_commands
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
    assert workplace.train_here("-m", "method=randlora,mine", "sweep.dir=own", "tracker=none") == 0
    records = workplace.records("own")
    assert set(records) == {"randlora", "mine"}
    for _, record in records.values():
        assert record.trainable
        assert {check.status for check in record.checks.values()} == {"passed"}, record.checks
        assert all(
            any(re.search(p, name) for p in record.config["method"]["expect"]["trains"]) for name in record.trainable
        )
