"""Recorder of one run: keeps record.json up to date during the run and when it ends. Imports no torch."""

import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftlab.config.fingerprint import config_hash, determinants
from ftlab.config.run_config import RunConfig
from ftlab.config.secrets import blank_text, with_blanks
from ftlab.core.errors import Unfinished, UserError, reason
from ftlab.core.job_log import log_line
from ftlab.core.run_stage import Stage, StageTracker
from ftlab.core.signals import Paused, Stopped
from ftlab.record import (
    FILE_NAME,
    HEARTBEAT_SECONDS,
    Failure,
    MetricColumn,
    Progress,
    RunRecord,
    StageProgress,
    Status,
    now,
    read_record,
)
from ftlab.record.environment import git_state, package_versions, this_process
from ftlab.record.folder import PRUNED

_ROUNDING = 1e-6  # of parts of a batch that add up to whole texts


def new_record(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Return the record of a run that is just starting."""
    sweep, kind = directory.resolve().parent.name, config.dataset.kind
    return RunRecord(
        run_id=f"{sweep}-{directory.name}",
        status="running",
        method=config.method.name,
        model=config.model.name,
        dataset=config.dataset.name,
        task=kind.name,
        predicts=kind.predicts,
        seed=config.seed,
        config=with_blanks(config.model_dump(mode="json", by_alias=True)),
        determinants=determinants(config),
        config_hash=config_hash(config),
        role=config.search.role,
        watched=MetricColumn(metric=kind.monitor, label=kind.monitor, higher_is_better=kind.mode == "max"),
        sweep=sweep,
        command=command,
        started_at=now(),
        process=this_process(),
        git=git_state(Path.cwd()),
        versions=package_versions(),
    )


def record_of_attempt(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Return the record of a run's next attempt, with the fields of earlier attempts that it continues."""
    record = new_record(config, directory, command)
    if not (directory / FILE_NAME).exists():
        return record
    earlier = read_record(directory)
    continued = {name: getattr(earlier, name) for name in ("started_at", "resumed_at", "out_of_memory", "data")}
    return record.model_copy(update=continued)


class Recorder:
    """Holds the record of a running job, writes every change at once, and sends a heartbeat every few seconds.

    Attributes:
        record: the current record.
        progress: returns the progress of training; set while there is a trainer.
        stages: told what the run does; each heartbeat records it.
    """

    def __init__(self, record: RunRecord, directory: Path, *, active: bool) -> None:
        """Write the initial record. Ranks other than 0 are inactive: they hold a record, but write none."""
        self.record = record
        self.progress: Callable[[], Progress] | None = None
        self._directory = directory
        self._active = active
        self.stages = StageTracker(announce=self.log)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.update()

    def update(self, **changes: Any) -> None:
        """Change fields of the record and write it, which is a heartbeat too."""
        self._write(changes, durably=True)

    def _write(self, changes: dict[str, Any], *, durably: bool) -> None:
        with self._lock:
            progress = self.progress() if self.progress else None
            state: dict[str, Any] = {"progress": progress} if progress else {}
            if self.record.status == "running":  # what follows the end is no stage
                state["stage"] = self._stage(progress)
            self.record = self.record.model_copy(update={**state, **changes, "process": this_process()})
            if self._active:
                self.record.write(self._directory, durably=durably)

    def _stage(self, progress: Progress | None) -> StageProgress:
        position, left_s = self.stages.snapshot()
        done, total = int(position.done + _ROUNDING), position.total
        if progress and position.stage == Stage.TRAINING:
            done, total = progress.step, progress.steps
        return StageProgress(name=position.stage, done=done, total=total, left_s=left_s)

    def _send_heartbeats(self) -> None:
        while not self._over.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # a full disk: `update` will fail too, and that error is reported
                self._write({}, durably=False)

    def warn(self, *sentences: str) -> None:
        """Add warnings to the record and print them."""
        if sentences:
            self.update(warnings=[*self.record.warnings, *sentences])
        for sentence in sentences:
            self.log(f"warning: {sentence}")

    def log(self, sentence: str) -> None:
        """Print one line, on rank 0 only."""
        if self._active:
            log_line(sentence)

    @contextmanager
    def record_outcome(self) -> Iterator[None]:
        """Record how the block ends: completed, paused, or with another exception, which is raised again."""
        heartbeat = threading.Thread(target=self._send_heartbeats, daemon=True)
        if self._active:
            heartbeat.start()
        end: Status = "completed"
        try:
            yield
        except Paused:
            end = "paused"
        except BaseException as error:
            self._stop_heartbeat(heartbeat)
            if isinstance(error, Stopped) and (self._directory / PRUNED).exists():
                self.update(status="pruned", stage=None, finished_at=now())
                raise
            status, failure = status_of(error), failure_of(error, self._step())
            if status == "oom":
                failure = failure.model_copy(update={"message": self._out_of_memory(error)})
            self.update(status=status, failure=failure, finished_at=now())
            raise
        self._stop_heartbeat(heartbeat)
        self.update(status=end, stage=None, finished_at=now())

    def _stop_heartbeat(self, heartbeat: threading.Thread) -> None:
        self._over.set()
        if self._active:
            heartbeat.join()

    def _out_of_memory(self, error: BaseException) -> str:
        message = re.sub(r"^\[enforce fail[^\]]*\] (\. )?(err == 0\. )?", "", reason(error))
        return (
            f"out of memory with a micro-batch size of {self.record.micro_batch_size}: set budget.oom=halve_batch, "
            f"raise optim.accumulate, or lower budget.max_length ({message})"
        )

    def _step(self) -> int | None:
        return self.progress().step if self.progress else None


def failure_of(error: BaseException, step: int | None) -> Failure:
    """Return the record's entry for an exception; errors that the user can fix need no traceback."""
    return Failure(
        type=type(error).__name__,
        message=blank_text(str(error)) or type(error).__name__,
        step=step,
        traceback=None if isinstance(error, UserError) else blank_text("".join(traceback.format_exception(error))),
    )


def status_of(error: BaseException) -> Status:
    """Return the status of a run that ends with this exception."""
    if isinstance(error, KeyboardInterrupt | SystemExit | Unfinished):
        return "interrupted"
    # torch.OutOfMemoryError by name, as this module does not import torch
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # torch's CPU allocator
        return "oom"
    return "failed"
