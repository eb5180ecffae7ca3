"""The cases of the benchmark, and the rows that both sides read."""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Case:
    """Work that both sides do.

    Attributes:
        name: as in docs/performance.md.
        task: classify, or instruct.
        method: as ftlab calls it.
        lr: the highest learning rate; the schedule is linear, behind a warm-up of a tenth.
        rows: of training; a whole number of steps.
        goals: least ratio of speed (Trainer's time by ours) against Trainer's best settings, and against its defaults.
        micro_batch: rows of a forward pass of Trainer's where it accumulates; about as many tokens as ftlab takes.
        memory: most share of Trainer's peak memory; None: no goal.
        ours: settings under which ftlab does it, where Trainer's best ones have their like.
        kind: train: the training loop alone; sweep: eight jobs end to end; start: up to the first step.
    """

    name: str
    task: Literal["classify", "instruct"]
    method: Literal["full", "lora", "head", "partial"]
    lr: float
    rows: int
    goals: tuple[float, float]
    memory: float | None = None
    epochs: int = 1
    batch_size: int = 16
    micro_batch: int = 4
    max_length: int = 128
    val_rows: int = 64
    dropout: bool = True
    ours: tuple[str, ...] = ()
    kind: Literal["train", "sweep", "start"] = "train"
    model: str = "minilm"

    def __post_init__(self) -> None:
        """Both sides count the same steps only where no step is filled up."""
        assert self.rows % self.batch_size == 0

    @property
    def steps(self) -> int:
        """Return how many optimizer steps there are."""
        return self.epochs * self.rows // self.batch_size


_INSTRUCT = Case(
    name="instruct-lora",
    task="instruct",
    method="lora",
    lr=5e-4,
    rows=96,
    val_rows=16,
    batch_size=8,
    micro_batch=1,
    max_length=512,
    model="smollm2-135m",
    goals=(2.0, 2.0),
    memory=0.4,
    ours=("optim.group_by_length=true",),
)
_CLASSIFY = Case(name="classify-full", task="classify", method="full", lr=2e-4, rows=640, goals=(1.1, 1.1))
_SHORT = replace(_CLASSIFY, method="lora", lr=2e-3, rows=128, max_length=64)
_STILL = replace(_CLASSIFY, rows=320, epochs=5, dropout=False)

CASES = {
    case.name: case
    for case in (
        _INSTRUCT,
        replace(_INSTRUCT, name="instruct-full", method="full", lr=5e-5, goals=(1.4, 1.6), memory=0.6),
        _CLASSIFY,
        replace(_CLASSIFY, name="classify-lora", method="lora", lr=2e-3, goals=(1.15, 1.15)),
        replace(_STILL, name="head-5-epochs", method="head", lr=1e-2, goals=(3.5, 3.5)),
        replace(_STILL, name="partial-5-epochs", method="partial", lr=8e-4, goals=(1.4, 1.4)),
        replace(_SHORT, name="sweep-8", goals=(3.0, 3.0), kind="sweep"),
        replace(_SHORT, name="start", rows=32, goals=(1.0, 1.0), kind="start"),
    )
}
LATER_JOBS = 0.2  # of the script's start: most that each later job of a sweep takes to its first step
SMALLEST = replace(_CLASSIFY, name="smallest", rows=32, val_rows=8, max_length=32, goals=(0.0, 0.0))


def write_rows(case: Case, folder: Path, instruct: Path | None, classify: Path | None, fits: Any) -> None:
    """Write train, val and test .jsonl of a case.

    Args:
        case: says how many rows.
        folder: to write them into.
        instruct: a file of Alpaca's kind (instruction, input, output); None: ChatterBot's dialogues.
        classify: jsonl with text and label; None: BBC news.
        fits: whether a row is short enough, so that nothing is cut on either side.
    """
    rows = _answers(instruct) if case.task == "instruct" else _texts(classify)
    rows = list({row.get("text", row.get("prompt")): row for row in rows}.values())  # no text twice
    random.Random(0).shuffle(rows)
    rows = [row for row in rows if fits(row)]
    sizes = {"train": case.rows, "val": case.val_rows, "test": case.val_rows}
    assert len(rows) >= sum(sizes.values()), f"{case.name} wants {sum(sizes.values())} rows, there are {len(rows)}"
    folder.mkdir(parents=True, exist_ok=True)
    start = 0
    for split, size in sizes.items():
        text = "".join(json.dumps(row) + "\n" for row in rows[start : start + size])
        (folder / f"{split}.jsonl").write_text(text)
        start += size


def _answers(file: Path | None) -> list[dict[str, str]]:
    if file is None:
        from ftlab.data.sources.wheels import chatterbot

        said = [row.values for row in chatterbot()["train"]]
        return [{"prompt": row["prompt"], "response": row["response"]} for row in said]
    rows = [row for row in json.loads(file.read_text()) if row["output"].strip()]
    return [
        {"prompt": f"{row['instruction']}\n\n{row['input']}".strip(), "response": row["output"].strip()} for row in rows
    ]


def _texts(file: Path | None) -> list[dict[str, str]]:
    if file is None:
        from ftlab.data.sources.wheels import bbc_news

        return [{"text": row.values["text"], "label": row.values["label"]} for row in bbc_news()["train"]]
    return [json.loads(line) for line in file.read_text().splitlines()]
