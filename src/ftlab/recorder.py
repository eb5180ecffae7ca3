"""Keeps one run's record.json true while the run goes on, and when it ends, however it ends. Imports no torch."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftlab.environment import git_state, package_versions, this_process
from ftlab.errors import UserError
from ftlab.fingerprint import config_hash, determinants
from ftlab.record import Failure, RunRecord, Status, now
from ftlab.schema import RunConfig


def first_record(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Return the record of a run that has just begun."""
    sweep = directory.resolve().parent.name
    return RunRecord(
        run_id=f"{sweep}-{directory.name}",
        status="running",
        method=config.method.name,
        model=config.model.name,
        dataset=config.dataset.name,
        task=config.dataset.task,
        seed=config.seed,
        config=config.model_dump(mode="json", by_alias=True),
        determinants=determinants(config),
        config_hash=config_hash(config),
        sweep=sweep,
        command=command,
        started_at=now(),
        process=this_process(),
        git=git_state(Path.cwd()),
        versions=package_versions(),
    )


class Recorder:
    """Holds the record of a running job and writes every change at once.

    Attributes:
        record: the record as it stands.
        step: tells how many optimizer steps are done; set once there is a trainer.
    """

    def __init__(self, record: RunRecord, directory: Path, *, active: bool) -> None:
        """Write the first state. Ranks other than 0 are inactive: they keep a record and write none."""
        self.record = record
        self.step: Callable[[], int] | None = None
        self._directory = directory
        self._active = active
        self.update()

    def update(self, **changes: Any) -> None:
        """Change fields of the record and write it, with a fresh sign of life."""
        self.record = self.record.model_copy(update={**changes, "process": this_process()})
        if self._active:
            self.record.write(self._directory)

    def warn(self, *sentences: str) -> None:
        """Add warnings to the record and show them."""
        if sentences:
            self.update(warnings=[*self.record.warnings, *sentences])
        for sentence in sentences:
            self.say(f"warning: {sentence}")

    def say(self, sentence: str) -> None:
        """Print one line; ranks other than 0 stay silent."""
        if self._active:
            print(f"  {sentence}", flush=True)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record how the block ends: completed, or what went wrong, which goes on to the caller."""
        try:
            yield
        except BaseException as error:
            self.update(status=_status(error), failure=self._failure(error), finished_at=now())
            raise
        self.update(status="completed", finished_at=now())

    def _failure(self, error: BaseException) -> Failure:
        return Failure(
            type=type(error).__name__,
            message=str(error) or type(error).__name__,
            step=self.step() if self.step else None,
            traceback=None if isinstance(error, UserError) else "".join(traceback.format_exception(error)),
        )


def _status(error: BaseException) -> Status:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted"
    # torch.OutOfMemoryError by name: this module is also read where torch is not imported
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # torch's CPU allocator
        return "oom"
    return "failed"
