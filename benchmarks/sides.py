"""Launch of each side in fresh processes, and its measurements afterwards."""

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import meter
from cases import Case

ROOT = Path(__file__).resolve().parents[1]
SWEEP = [(lr, seed) for lr in (5e-4, 1e-3, 2e-3, 4e-3) for seed in (0, 1)]
_SUBREAPER = 36  # prctl(2): processes whose parent is gone become ours, so that their time is known


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all runs of a benchmark share.

    Attributes:
        model: folder of the base model.
        overrides: how ftlab is told of it.
        data: folder with the rows.
        work: folder for runs; a run's own is made anew in it.
        cache: FTLAB_CACHE with the base model in it; what a run adds to a copy of it is gone with the run.
        threads: of both sides.
        device: of both sides, cpu or gpu.
        entry: PYTHONPATH that installs the meter.
        extra: overrides for ftlab, to try switches.
    """

    model: Path
    overrides: list[str]
    data: Path
    work: Path
    cache: Path
    threads: int
    device: str
    entry: str
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a side took.

    Attributes:
        seconds: by the clock: of the training loop without evaluation; of sweep and start, end to end.
        cpu_s: processor time of the same, user and system, of all processes.
        tokens: real ones of training, padding not counted.
        loss: on the validation rows, at the end.
        base_bytes: resident memory as training begins, the base loaded.
        peak_bytes: the highest in training.
        flops: of training, estimated; of a sweep, of all its jobs. One of the sides knows it.
        later_s: of a sweep, seconds from the end of a job to the first step of the next.
        record_s: training time as the side itself has it.
    """

    seconds: float
    cpu_s: float
    tokens: int = 0
    loss: float = float("nan")
    base_bytes: int = 0
    peak_bytes: int = 0
    flops: float = 0.0
    later_s: tuple[float, ...] = ()
    record_s: float | None = None

    @property
    def above_bytes(self) -> int:
        """Return the memory that training took on top of the loaded base."""
        return self.peak_bytes - self.base_bytes


def take_in_orphans() -> None:
    """Have the time of processes counted whose own parent did not wait for them."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)


def trainer_run(bench: Bench, case: Case, seed: int, peer: str) -> Found:
    """Run the Trainer's side of a case; `peer` says with which settings: default, best or accumulating."""
    jobs = SWEEP if case.kind == "sweep" else [(case.lr, seed)]
    folder = _fresh(bench.work / "trainer")
    commands = []
    for number, (lr, own_seed) in enumerate(jobs):
        told: dict[str, Any] = {
            "task": case.task,
            "method": case.method,
            "data": bench.data,
            "out": folder / str(number),
            "model": bench.model,
            "lr": lr,
            "max-length": case.max_length,
            "epochs": case.epochs,
            "batch-size": case.batch_size,
            "seed": own_seed,
        }
        command = [sys.executable, str(ROOT / "benchmarks" / "trainer_side.py")]
        command += [word for key, value in told.items() for word in (f"--{key}", str(value))]
        command += (
            ["--gpu"] * (bench.device == "gpu")
            + ["--best"] * (peer != "default")
            + ["--no-dropout"] * (not case.dropout)
        )
        command += ["--micro-batch", str(case.micro_batch)] * (peer == "accumulating")
        commands.append(command + (["--test"] if case.kind == "sweep" else ["--metered"]))
    begun = time.time()
    seconds, cpu = _timed(commands, bench, folder)
    results = [json.loads((folder / str(number) / "result.json").read_text()) for number in range(len(jobs))]
    if case.kind == "sweep":
        return Found(seconds=seconds, cpu_s=cpu, tokens=results[0]["tokens"], loss=_mean([r["loss"] for r in results]))
    (marks,) = meter.read(folder / "marks")
    return _of_training(case, marks, begun, results[0]["loss"], results[0]["tokens"], results[0]["flops"])


def ftlab_run(bench: Bench, case: Case, seed: int, *, profile: Path | None = None) -> Found:
    """Run ftlab's side of a case, as a user does: train.py with overrides."""
    folder = _fresh(bench.work / "ftlab")
    overrides = ftlab_overrides(bench, case, folder / "sweep")
    if case.kind == "sweep":
        rates, seeds = (",".join(str(value) for value in dict.fromkeys(column)) for column in zip(*SWEEP, strict=True))
        overrides = ["-m", *overrides, f"optim.lr={rates}", f"seed={seeds}"]
    elif case.kind == "start":
        overrides = ["-m", *overrides, f"optim.lr={case.lr}", "seed=0,1,2"]
    else:
        overrides += [f"optim.lr={case.lr}", f"seed={seed}"]
    # rows and whatever else a run keeps are as new each time; a start is measured with them
    cache = bench.cache if case.kind == "start" else _with_the_model_alone(bench.cache, folder / "cache")
    begun = time.time()
    seconds, cpu = _timed([[sys.executable, str(ROOT / "train.py"), *overrides]], bench, folder, profile, cache)
    records = [json.loads(path.read_text()) for path in sorted((folder / "sweep").glob("*/record.json"))]
    unfinished = [record["failure"] for record in records if record["status"] != "completed"]
    assert records, f"{case.name}: ftlab left no record"
    assert not unfinished, unfinished
    losses = [metrics["val"]["loss"]["value"] for record in records for metrics in record["metrics"].values()]
    tokens, record_s = records[0]["cost"]["tokens_seen"], records[0]["cost"]["train_s"]
    if case.kind == "sweep":
        flops = sum(record["cost"]["training_flops"] for record in records)
        return Found(seconds=seconds, cpu_s=cpu, tokens=tokens, loss=_mean(losses), flops=flops)
    trainings = meter.read(folder / "marks")
    later = ()
    if case.kind == "start":
        ends = _ends(folder / "sweep")
        later = tuple(following["first_step"]["at"] - ends[before["pid"]] for before, following in pairwise(trainings))
    found = _of_training(case, trainings[0], begun, _mean(losses), tokens, 0.0)
    return Found(**{**vars(found), "later_s": later, "record_s": record_s})


def ftlab_overrides(bench: Bench, case: Case, directory: Path) -> list[str]:
    """Return the settings under which ftlab does the case's work, and no more than that."""
    rows = [f"dataset.source.{split}={bench.data / split}.jsonl" for split in ("train", "val", "test")]
    kind = {
        "classify": ["dataset=text_files", "dataset.columns.text=text", "dataset.columns.label=label"],
        "instruct": [
            *("dataset=instruction_files", "dataset.columns.prompt=prompt", "dataset.columns.response=response"),
            *("dataset.template=chat", "dataset.generate.rows=0"),
        ],
    }
    return [
        *bench.overrides,
        *kind[case.task],
        *rows,
        f"method={case.method}",
        f"dataset.max_length={case.max_length}",
        *("budget=steps", f"budget.steps={case.steps}", "budget.validations=1", "budget.patience=null"),
        f"optim.batch_size={case.batch_size}",
        *([] if case.dropout else ["model.dropout=0.0"]),
        *("tracker=none", "robustness=none", "hardware.measure_latency=false", f"hardware={bench.device}"),
        f"sweep.dir={directory}",
        *case.ours,
        *bench.extra,
    ]


def _of_training(case: Case, marks: dict[str, Any], begun: float, loss: float, tokens: int, flops: float) -> Found:
    if case.kind == "start":
        first = marks["first_step"]
        return Found(seconds=first["at"] - begun, cpu_s=first["cpu_s"], tokens=tokens, loss=loss)
    return Found(
        seconds=marks["train_s"],
        cpu_s=marks["train_cpu_s"],
        tokens=tokens,
        loss=loss,
        base_bytes=marks["base_bytes"],
        peak_bytes=marks["peak_bytes"],
        flops=flops,
    )


def _timed(
    commands: Sequence[Sequence[str]],
    bench: Bench,
    folder: Path,
    profile: Path | None = None,
    cache: Path | None = None,
) -> tuple[float, float]:
    """Run one after the other; return seconds by the clock and of the processor, of all processes there were."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(bench.threads),
        "TOKENIZERS_PARALLELISM": "false",
        "FTLAB_CACHE": str(cache or bench.cache),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), bench.entry, os.environ.get("PYTHONPATH", "")]),
        meter.DEVICE: bench.device,
        meter.MARKS: str(folder / "marks"),
        meter.ROOT_PID: str(os.getpid()),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled modules are a warm cache too
    if profile is not None:
        environment[meter.PROFILE] = str(profile)
    before, begun = _children(), time.perf_counter()
    for command in commands:
        with (folder / "log").open("a") as log:
            code = subprocess.run(command, env=environment, cwd=ROOT, stdout=log, stderr=log, check=False).returncode
        if code:
            sys.exit(f"{' '.join(command)}\nended with {code}:\n{(folder / 'log').read_text()[-3000:]}")
    seconds = time.perf_counter() - begun
    while True:  # forked servers that outlive their parent for a moment
        try:
            os.wait()
        except ChildProcessError:
            break
    return seconds, _children() - before


def _with_the_model_alone(cache: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in ("models", "wheels", "hashes"):
        if (cache / name).is_dir():
            (folder / name).symlink_to(cache / name)
    return folder


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ends(sweep: Path) -> dict[int, float]:
    """Return when each job's process last wrote its record, by its id: the job is over then, but for its exit."""
    records = [(json.loads(path.read_text()), path.stat().st_mtime) for path in sweep.glob("*/record.json")]
    return {record["process"]["pid"]: written for record, written in records}


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
