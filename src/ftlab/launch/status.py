"""Status of a sweep: the state of every job, from its record and from the Slurm queue if there is one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rich.text import Text

from ftlab.comparison.folder_table import FolderColumn
from ftlab.comparison.formats import format_duration, printable
from ftlab.comparison.listing import status_style
from ftlab.comparison.settings import RunSettings, run_labels
from ftlab.core.errors import UserError
from ftlab.inference.trust import recorded_config
from ftlab.launch.job_labels import job_settings
from ftlab.launch.slurm_queue import queue_states, read_job_id
from ftlab.record import FILE_NAME, RunRecord, read_record
from ftlab.record.folder import CONFIG
from ftlab.record.reading import require_file


@dataclass(frozen=True)
class RunStatus:
    """Status of a run; its fields, in this order, are the columns of `--plain` and the keys of `--json`.

    Attributes:
        run: name of its folder.
        varies: the settings that tell it from the other runs of the sweep; may be empty.
        status: that of its record; `waiting` if it has none yet, `unreadable` if that cannot be read.
        stage: what it does, or did at last if it has not reached its end.
        stage_done: how many batches, rows, texts or steps of the stage are done.
        stage_total: of how many; None: not known.
        left_s: estimate of the seconds until the end of the stage; of training, with its validations.
        step: completed optimizer steps.
        steps: of the whole run.
        loss: the last training loss.
        elapsed_s: seconds since it started, until its end.
        host: machine of its process, while it runs.
        pid: number of its process, while it runs.
        job_id: of Slurm.
        queue_state: state of that job in Slurm's queue; `gone` if it is not there.
    """

    run: str
    varies: str
    status: str
    stage: str | None = None
    stage_done: int | None = None
    stage_total: int | None = None
    left_s: float | None = None
    step: int | None = None
    steps: int | None = None
    loss: float | None = None
    elapsed_s: int | None = None
    host: str | None = None
    pid: int | None = None
    job_id: str | None = None
    queue_state: str | None = None

    @classmethod
    def of(cls, name: str, varies: str, record: RunRecord | str, job_id: str | None, queue: str | None) -> "RunStatus":
        """Return the status of a run from its record, or from the reason why there is none that can be read."""
        if isinstance(record, str):
            return cls(name, varies, record, job_id=job_id, queue_state=queue)
        stage, progress = record.stage, record.progress
        process = record.process if record.status == "running" else None
        end = datetime.fromisoformat(record.finished_at) if record.finished_at else datetime.now(UTC)
        return cls(
            run=name,
            varies=varies,
            status=record.status,
            stage=stage.name if stage else None,
            stage_done=stage.done if stage else None,
            stage_total=stage.total if stage else None,
            left_s=stage.left_s if stage and record.status == "running" else None,
            step=progress.step if progress else None,
            steps=progress.steps if progress else None,
            loss=progress.loss if progress else None,
            elapsed_s=int((end - datetime.fromisoformat(record.started_at)).total_seconds()),
            host=process.host if process else None,
            pid=process.pid if process else None,
            job_id=job_id,
            queue_state=queue,
        )


def sweep_status(sweep: Path) -> list[RunStatus]:
    """Return the status of each run of the sweep, by the names of their folders.

    Raises:
        UserError: the folder contains no run.
    """
    folders = sorted(path.parent for path in sweep.glob(f"*/{CONFIG}"))
    if not folders:
        raise UserError(f"{sweep} contains no runs: give the folder of a sweep, such as outputs/NAME.")
    job_ids = {folder: job_id for folder in folders if (job_id := read_job_id(folder))}
    states = queue_states(list(job_ids.values()))
    records = {folder: _record_or_status(folder) for folder in folders}
    labels = _labels(records)
    return [
        RunStatus.of(
            folder.name,
            labels.get(folder, ""),
            record,
            job_id := job_ids.get(folder),
            None if job_id is None else states.get(job_id, "gone"),
        )
        for folder, record in records.items()
    ]


def status_columns(runs: Sequence[RunStatus]) -> list[FolderColumn]:
    """Return the status of runs as columns for the terminal."""

    def texts(*cells: str) -> list[Text]:
        return [Text(printable(cell)) for cell in cells]

    return [
        FolderColumn("run", texts(*(run.run for run in runs))),
        FolderColumn("varies", texts(*(run.varies for run in runs)), importance=8, folds=True),
        FolderColumn("status", [Text(run.status, status_style(run.status)) for run in runs]),
        FolderColumn("doing", texts(*map(_doing, runs)), importance=9),
        FolderColumn("left", texts(*map(_left, runs)), importance=6, right=True),
        FolderColumn("step", texts(*map(_step, runs)), importance=4, right=True),
        FolderColumn("loss", texts(*map(_loss, runs)), importance=2, right=True),
        FolderColumn("time", texts(*map(_time, runs)), importance=5, right=True),
        FolderColumn("where", texts(*map(_where, runs)), importance=1),
        FolderColumn("queue", texts(*map(_queue, runs)), importance=7),
    ]


def _record_or_status(folder: Path) -> RunRecord | str:
    """Return a run's record; if there is none that can be read, its state."""
    if not (folder / FILE_NAME).exists():
        return "waiting"
    try:
        return read_record(folder)
    except UserError:  # one broken record must not hide the others
        return "unreadable"


def _labels(records: dict[Path, RunRecord | str]) -> dict[Path, str]:
    """Return a label for each run whose settings can be read."""
    settings: dict[Path, RunSettings] = {}
    for folder, record in records.items():
        if isinstance(record, RunRecord):
            settings[folder] = RunSettings.of(record)
        else:
            with suppress(UserError, OSError, ValueError, RecursionError, yaml.YAMLError):  # no label, then
                require_file(folder / CONFIG)
                values = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
                settings[folder] = job_settings(recorded_config(values if isinstance(values, dict) else {}, folder))
    return dict(zip(settings, run_labels(list(settings.values())), strict=True))


def _doing(run: RunStatus) -> str:
    if run.stage is None or run.status in ("waiting", "completed"):
        return ""
    return run.stage if run.stage_total is None else f"{run.stage} {run.stage_done}/{run.stage_total}"


def _left(run: RunStatus) -> str:
    return "" if run.left_s is None else format_duration(run.left_s)


def _step(run: RunStatus) -> str:
    return "" if run.step is None else f"{run.step}/{run.steps}"


def _loss(run: RunStatus) -> str:
    return "" if run.loss is None else f"{run.loss:.4f}"


def _time(run: RunStatus) -> str:
    return "" if run.elapsed_s is None else format_duration(run.elapsed_s)


def _where(run: RunStatus) -> str:
    return "" if run.host is None else f"{run.host}, process {run.pid}"


def _queue(run: RunStatus) -> str:
    return "" if run.job_id is None else f"{run.job_id} {run.queue_state}"
