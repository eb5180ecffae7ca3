"""The record of one experiment."""

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ftlab.record.parts import (
    Budget,
    Check,
    Column,
    Cost,
    Data,
    Failure,
    Frozen,
    Hardware,
    Metric,
    OutOfMemory,
    Parameters,
    Prediction,
    Process,
    Progress,
    Sample,
)
from ftlab.record.robustness import Robustness

SCHEMA_VERSION = 1
FILE_NAME = "record.json"
PRUNED = "Pruned"  # type of the failure of a run that was stopped, for others were ahead of it
BEAT_SECONDS = 2  # between two signs of life

Role = Literal["run", "trial"]
Status = Literal["running", "completed", "failed", "oom", "timeout", "interrupted"]


class RunRecord(Frozen):
    """One experiment, from configuration to result. Written atomically as record.json in the run's folder."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    status: Status
    method: str
    model: str
    dataset: str
    task: str
    seed: int
    config: dict[str, Any]  # resolved and validated, as the job received it
    determinants: dict[str, Any]  # what of the configuration determines the result
    config_hash: str  # see ftlab.fingerprint, as the next
    role: Role = "run"  # a trial chooses settings on the validation split, and never sees the test split
    watched: Column | None = None  # what `objective` is a value of
    fingerprint: str | None = None  # known once data and base model are read
    sweep: str | None = None
    command: list[str] = Field(default_factory=list)
    started_at: str
    finished_at: str | None = None
    process: Process | None = None
    progress: Progress | None = None
    resumed_at: list[int] = Field(default_factory=list)  # steps at which the run was gone on with after an interruption
    out_of_memory: list[OutOfMemory] = Field(default_factory=list)  # attempts before this one
    micro_batch_size: int | None = None  # examples per forward pass and device, as used
    micro_batch_tokens: int | None = None  # most tokens of a forward pass in training, as used; null: no limit
    failure: Failure | None = None
    git: dict[str, Any] | None = None  # commit, dirty
    versions: dict[str, str] = Field(default_factory=dict)
    base_model: dict[str, Any] | None = None  # id, revision or wheel, content hash
    hardware: Hardware | None = None
    data: Data | None = None
    parameters: Parameters | None = None
    trainable: list[str] = Field(default_factory=list)  # names of the parameters that trained
    metrics: dict[str, dict[str, dict[str, Metric]]] = Field(default_factory=dict)  # task -> split -> name
    columns: list[Column] = Field(default_factory=list)
    samples: list[Sample] = Field(default_factory=list)
    predicted: Prediction | None = None  # made before the run, where the sweep was planned; to be held against `cost`
    budget: Budget | None = None  # known once training is over
    cost: Cost | None = None
    checks: dict[str, Check] = Field(default_factory=dict)
    robustness: Robustness | None = None  # null: not examined (robustness=none)
    warnings: list[str] = Field(default_factory=list)

    @property
    def objective(self) -> float | None:
        """What a search makes best: the best validation's value of what the task watches, never of the test split."""
        return self.progress.best if self.progress else None

    def test_metric(self, name: str) -> Metric | None:
        """Return the test metric of this name, or None where the run has none; of a mixture's part, `part/name`."""
        part, slash, own = name.partition("/")
        task, name = (part, own) if slash and part in self.metrics else (self.task, name)
        return self.metrics.get(task, {}).get("test", {}).get(name)

    def write(self, directory: Path, *, durably: bool = True) -> Path:
        """Write record.json so that a reader sees the old one or the new one, never half of one.

        Args:
            directory: the run's folder.
            durably: have it reach the disk before this returns; a sign of life need not.
        """
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE_NAME
        partial = directory / f".{FILE_NAME}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            with partial.open("w", encoding="utf-8") as stream:
                stream.write(self.model_dump_json(indent=1))
                stream.flush()
                if durably:
                    os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def now() -> str:
    """Return the present moment as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
