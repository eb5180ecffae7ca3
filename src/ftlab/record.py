"""The run record: the contract between training and everything after it.

Reports, sweeps and trackers read records and never live objects, so this module imports no torch.
"""

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ftlab.errors import UserError

SCHEMA_VERSION = 1
FILE_NAME = "record.json"
PRUNED = "Pruned"  # type of the failure of a run that was stopped, for others were ahead of it
BEAT_SECONDS = 2  # between two signs of life
_STALE_SECONDS = 120  # without one: of a process on another machine no more can be known

Status = Literal["running", "completed", "failed", "oom", "timeout", "interrupted"]
CheckStatus = Literal["passed", "failed", "skipped"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Metric(_Frozen):
    """One measured value. A metric that could not be computed has value null and says why in `status`."""

    value: float | None
    n: int  # examples (tokens or entities, for metrics of those) behind the value
    status: str = "ok"
    signature: str | None = None  # how it was computed, where one name stands for several ways


class Sample(_Frozen):
    """What the trained model answered to a test example; long texts are cut."""

    prompt: str
    expected: str
    written: str


class Column(_Frozen):
    """A test metric that the task wants to see in the comparison table."""

    metric: str
    label: str
    higher_is_better: bool


class Failure(_Frozen):
    """Why a run did not complete."""

    type: str
    message: str
    step: int | None = None  # optimizer steps done when it happened
    traceback: str | None = None


class Process(_Frozen):
    """Who writes this record: a pid means nothing without host and start time."""

    host: str
    pid: int
    started_at: float  # process creation, seconds since the epoch
    heartbeat: float  # last sign of life, seconds since the epoch


class Progress(_Frozen):
    """How far training is, as of the last sign of life."""

    step: int  # optimizer steps done
    steps: int  # of the whole run
    loss: float | None  # the last training loss
    validated: float | None = None  # what the task watches, at the last validation
    validated_at: int | None = None  # its step
    best: float | None = None  # of all validations; the weights of that one are tested and saved
    peak_memory_bytes: int | None = None  # of training, as in Cost


class OutOfMemory(_Frozen):
    """An attempt that ran out of memory, and was followed by one with half the micro-batch."""

    micro_batch_size: int
    accumulate: int
    step: int | None  # optimizer steps done
    peak_memory_bytes: int | None  # as the process saw it
    message: str


class Hardware(_Frozen):
    device: str  # "cpu" or the accelerator's name
    accelerator: str  # cpu | gpu | mps
    devices: int  # over all nodes
    precision: str  # as used, e.g. 32-true
    cpu: str
    cores: int
    memory_bytes: int
    threads: int | None = None  # CPU threads per process


class Data(_Frozen):
    hash: str  # of the mapped rows of every split, in order
    rows: dict[str, int]  # split -> rows used
    columns: dict[str, str | list[str]] = Field(
        default_factory=dict
    )  # role -> column of the source, as set or detected
    notes: list[str] = Field(default_factory=list)  # what was found out about the rows, as their shape
    dropped: dict[str, int] = Field(default_factory=dict)  # reason -> rows left out
    unknown_token_share: float | None = None
    truncated_share: float | None = None  # share of training rows cut to max_length
    labels: list[str] = Field(default_factory=list)  # of regression the targets' names
    # regression: what the model's outputs times the scales, plus the means, are the targets of
    target_means: list[float] = Field(default_factory=list)
    target_scales: list[float] = Field(default_factory=list)


class Cost(_Frozen):
    """Where the time and the memory went. Training excludes validation, set-up and the final test."""

    setup_s: float
    train_s: float
    eval_s: float
    optimizer_steps: int
    examples_seen: int
    tokens_seen: int  # real tokens: padding does not count
    padding_share: float | None = None  # of the positions in training batches
    examples_per_s: float | None
    tokens_per_s: float | None
    peak_memory_bytes: int | None  # high-water mark of training alone (process RSS, or GPU allocator)
    baseline_memory_bytes: int | None  # the same measure when training began
    peak_memory_source: str  # how it was measured
    base_weight_bytes: int  # bytes of the base model's weights as held in memory (quantised where so)


class Parameters(_Frozen):
    trainable: int
    total: int
    adapter_bytes: int | None = None  # size on disk of what the method saved


class Check(_Frozen):
    status: CheckStatus
    detail: str


class RunRecord(_Frozen):
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
    cost: Cost | None = None
    checks: dict[str, Check] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)

    @property
    def objective(self) -> float | None:
        """What a search makes best: the best validation's value of what the task watches, never of the test split."""
        return self.progress.best if self.progress else None

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


def is_alive(process: Process) -> bool:
    """Whether this very process still runs; on another machine, whether it gave a sign of life not long ago."""
    if process.host != socket.gethostname():
        return time.time() - process.heartbeat < _STALE_SECONDS
    try:
        found = psutil.Process(process.pid)
        return abs(found.create_time() - process.started_at) < 1 and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _as_it_stands(record: RunRecord) -> RunRecord:
    """Return the record; one that says `running` of a process that is gone is that of an interrupted run."""
    if record.status != "running" or record.process is None or is_alive(record.process):
        return record
    step = record.progress.step if record.progress else None
    failure = Failure(type="Vanished", message="its process is gone, and left no word", step=step)
    return record.model_copy(update={"status": "interrupted", "failure": failure})


def read_record(directory: Path) -> RunRecord:
    """Read the record in a run's folder; a run whose process is gone reads as interrupted.

    Raises:
        UserError: there is none, it is no valid JSON, or it was written by another schema version.
    """
    path = directory / FILE_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: {directory} is not the folder of a run.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it or run the job again.") from None
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {version}, this ftlab reads {SCHEMA_VERSION}: use the ftlab that wrote it."
        )
    try:
        return _as_it_stands(RunRecord.model_validate(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path} is not a valid record: {place}: {first['msg']}.") from None


def find_records(*roots: Path, onerror: Callable[[UserError], None] | None = None) -> list[tuple[Path, RunRecord]]:
    """Return the folder and record of every run under the roots, oldest first, each once.

    Args:
        roots: runs' own folders, sweeps, or any folders of sweeps.
        onerror: is given the error of each record that cannot be read, which is then left out.

    Raises:
        UserError: a record cannot be read and there is no `onerror`.
    """
    folders = {path.resolve(): path.parent for root in roots for path in sorted(root.rglob(FILE_NAME))}
    found = []
    for folder in folders.values():
        try:
            found.append((folder, read_record(folder)))
        except UserError as error:
            if onerror is None:
                raise
            onerror(error)
    return sorted(found, key=lambda pair: (pair[1].started_at, str(pair[0])))
