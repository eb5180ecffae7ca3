"""Keeps one run's record.json true while the run goes on, and when it ends, however it ends. Imports no torch."""

import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftlab.environment import git_state, package_versions, this_process
from ftlab.errors import Unfinished, UserError
from ftlab.fingerprint import config_hash, determinants
from ftlab.record import BEAT_SECONDS, FILE_NAME, Column, Failure, Progress, RunRecord, Status, now, read_record
from ftlab.schema import RunConfig
from ftlab.tasks.spec import TASKS


def first_record(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Return the record of a run that has just begun."""
    sweep, task = directory.resolve().parent.name, TASKS[config.dataset.task]
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
        role=config.search.role,
        watched=Column(metric=task.monitor, label=task.monitor, higher_is_better=task.mode == "max"),
        sweep=sweep,
        command=command,
        started_at=now(),
        process=this_process(),
        git=git_state(Path.cwd()),
        versions=package_versions(),
    )


def begun(config: RunConfig, directory: Path, command: list[str]) -> RunRecord:
    """Return the same for the next attempt of a run, with what earlier attempts left for it to know."""
    record = first_record(config, directory, command)
    if not (directory / FILE_NAME).exists():
        return record
    earlier = read_record(directory)
    kept = {name: getattr(earlier, name) for name in ("started_at", "resumed_at", "out_of_memory")}
    return record.model_copy(update=kept)


class Recorder:
    """Holds the record of a running job, writes every change at once, and gives a sign of life every few seconds.

    Attributes:
        record: the record as it stands.
        progress: tells how far training is; set while there is a trainer.
    """

    def __init__(self, record: RunRecord, directory: Path, *, active: bool) -> None:
        """Write the first state. Ranks other than 0 are inactive: they keep a record and write none."""
        self.record = record
        self.progress: Callable[[], Progress] | None = None
        self._directory = directory
        self._active = active
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.update()

    def update(self, **changes: Any) -> None:
        """Change fields of the record and write it, with a fresh sign of life."""
        self._write(changes, durably=True)

    def _write(self, changes: dict[str, Any], *, durably: bool) -> None:
        with self._lock:
            now_so_far = {"progress": self.progress()} if self.progress else {}
            self.record = self.record.model_copy(update={**now_so_far, **changes, "process": this_process()})
            if self._active:
                self.record.write(self._directory, durably=durably)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            with suppress(OSError):  # a full disk: what matters is written again, and fails, elsewhere
                self._write({}, durably=False)

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
        heart = threading.Thread(target=self._beat, daemon=True)
        if self._active:
            heart.start()
        try:
            yield
        except BaseException as error:
            self._still(heart)
            status, failure = status_of(error), failure_of(error, self._step())
            if status == "oom":
                failure = failure.model_copy(update={"message": self._out_of_memory(error)})
            self.update(status=status, failure=failure, finished_at=now())
            raise
        self._still(heart)
        self.update(status="completed", finished_at=now())

    def _still(self, heart: threading.Thread) -> None:
        self._over.set()
        if self._active:
            heart.join()

    def _out_of_memory(self, error: BaseException) -> str:
        what = re.sub(r"^\[enforce fail[^\]]*\] (\. )?(err == 0\. )?", "", " ".join(str(error).split()))
        return (
            f"out of memory with {self.record.micro_batch_size} examples at a time: set budget.oom=halve_batch, raise "
            f"optim.accumulate, or lower budget.max_length ({what})"
        )

    def _step(self) -> int | None:
        return self.progress().step if self.progress else None


def failure_of(error: BaseException, step: int | None) -> Failure:
    """Return what a record says of an exception; what is the user's to mend needs no traceback."""
    return Failure(
        type=type(error).__name__,
        message=str(error) or type(error).__name__,
        step=step,
        traceback=None if isinstance(error, UserError) else "".join(traceback.format_exception(error)),
    )


def status_of(error: BaseException) -> Status:
    """Return how a run ends that ends with this exception."""
    if isinstance(error, KeyboardInterrupt | SystemExit | Unfinished):
        return "interrupted"
    # torch.OutOfMemoryError by name: this module is also read where torch is not imported
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "oom"
    if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):  # torch's CPU allocator
        return "oom"
    return "failed"
