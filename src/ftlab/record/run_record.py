"""Record of one experiment, written as record.json."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ftlab.core.atomic import write_text
from ftlab.record.origin import Origin
from ftlab.record.parts import (
    Budget,
    Check,
    Cost,
    CostEstimate,
    Data,
    Failure,
    Frozen,
    Hardware,
    Metric,
    MetricColumn,
    OutOfMemory,
    Parameters,
    PredictionType,
    Process,
    Progress,
    Sample,
    StageProgress,
    with_prediction_type,
)
from ftlab.record.robustness import Robustness
from ftlab.record.training_plan import TrainingPlan

SCHEMA_VERSION = 1
FILE_NAME = "record.json"
HEARTBEAT_SECONDS = 2  # between two heartbeats

Role = Literal["run", "trial"]
# paused: reached the end of its rung, and can go on from there; pruned: stopped before its end because its result was
# no longer needed, as other runs did better
Status = Literal["running", "completed", "paused", "pruned", "failed", "oom", "timeout", "interrupted"]


def _with_status_of_today(values: Any) -> Any:
    """Return the values of a record; before December 2026 a pruned run failed, and a failed reload was a success."""
    if not isinstance(values, dict):
        return values
    status, failure, checks = values.get("status"), values.get("failure"), values.get("checks")
    if status == "failed" and isinstance(failure, dict) and failure.get("type") == "Pruned":
        return {**values, "status": "pruned", "failure": None}
    reload = checks.get("reload") if isinstance(checks, dict) else None
    if status == "completed" and isinstance(reload, dict) and reload.get("status") == "failed":
        return {**values, "status": "failed", "failure": {"type": "ReloadFailed", "message": str(reload.get("detail"))}}
    return values


def _require_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("has no time zone")
    return text


Timestamp = Annotated[str, AfterValidator(_require_time)]  # ISO 8601, as of `now`


class RunRecord(Frozen):
    """One experiment, from configuration to result. Written atomically as record.json in the run's folder."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    status: Status
    method: str
    model: str
    dataset: str
    task: str
    predicts: PredictionType  # what a prediction is, by the task kind; the comparison reads it
    seed: int
    config: dict[str, Any]  # resolved and validated, as the job received it
    determinants: dict[str, Any]  # the settings that determine the result
    config_hash: str  # see ftlab.config.fingerprint, like `determinants` and `fingerprint`
    role: Role = "run"  # a trial chooses settings on the validation split and never uses the test split
    watched: MetricColumn | None = None  # the metric of `objective`
    fingerprint: str | None = None  # set once data and base model are loaded
    sweep: str | None = None
    command: list[str] = Field(default_factory=list)
    started_at: Timestamp
    finished_at: Timestamp | None = None
    process: Process | None = None
    progress: Progress | None = None
    stage: StageProgress | None = None  # the last one, of a run that has not reached its end
    resumed_at: list[int] = Field(default_factory=list)  # steps at which the run was resumed
    out_of_memory: list[OutOfMemory] = Field(default_factory=list)  # attempts before this one
    micro_batch_size: int | None = None  # examples per forward pass and device, as used
    micro_batch_tokens: int | None = None  # maximum tokens of a training forward pass, as used; null: no limit
    failure: Failure | None = None
    git: dict[str, Any] | None = None  # commit, dirty
    versions: dict[str, str] = Field(default_factory=dict)
    base_model: dict[str, Any] | None = None  # id, revision or wheel, content hash
    base_folder: str | None = None  # of a base that is named by a relative path: its path from the run's folder
    origin: Origin | None = None  # null: trained here from the base alone
    hardware: Hardware | None = None
    data: Data | None = None
    parameters: Parameters | None = None
    training_plan: TrainingPlan | None = None  # null: nothing trains, or not known yet
    trainable: list[str] = Field(default_factory=list)  # names of the trained parameters
    metrics: dict[str, dict[str, dict[str, Metric]]] = Field(default_factory=dict)  # task -> split -> name
    columns: list[MetricColumn] = Field(default_factory=list)
    samples: list[Sample] = Field(default_factory=list)
    predicted: CostEstimate | None = None  # made before the run, if the sweep was planned; compare with `cost`
    budget: Budget | None = None  # set when training is over
    cost: Cost | None = None
    checks: dict[str, Check] = Field(default_factory=dict)
    robustness: Robustness | None = None  # null: not evaluated (robustness=none)
    warnings: list[str] = Field(default_factory=list)

    _of_older_records = model_validator(mode="before")(with_prediction_type)
    _of_older_runs = model_validator(mode="before")(_with_status_of_today)

    @property
    def objective(self) -> float | None:
        """The value that a search optimises: the monitored metric at the best validation, never on the test split."""
        return self.progress.best if self.progress else None

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without the result that it was to have; a pruned or paused run was to have none."""
        return self.status not in ("running", "completed", "paused", "pruned")

    @property
    def test_metrics(self) -> dict[str, Metric]:
        """The test metrics by name; those of a part of a mixture as `part/name`."""
        return {
            name if task == self.task else f"{task}/{name}": metric
            for task, splits in self.metrics.items()
            for name, metric in splits.get("test", {}).items()
        }

    def test_metric(self, name: str) -> Metric | None:
        """Return the test metric of this name, `part/name` for a part of a mixture; None if the run has none."""
        part, slash, metric = name.partition("/")
        task, metric = (part, metric) if slash and part in self.metrics else (self.task, name)
        return self.metrics.get(task, {}).get("test", {}).get(metric)

    def write(self, directory: Path, *, durably: bool = True) -> Path:
        """Write record.json atomically: a reader gets the old or the new one, never a part.

        Args:
            directory: the run's folder.
            durably: wait until its name has reached the disk, which a heartbeat does not need.
        """
        directory.mkdir(parents=True, exist_ok=True)
        return write_text(directory / FILE_NAME, self.model_dump_json(indent=1), durably=durably)


def now() -> str:
    """Return the current time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
