"""Offline W&B runs: their files, their destination, and their upload by W&B's own client."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record

_FILES = "wandb/offline-run-*/run-*.wandb"


@dataclass(frozen=True)
class OfflineRun:
    """One attempt of a run, or a comparison, in W&B's offline format.

    Attributes:
        file: the run's .wandb file.
        folder: of the run, or of the sweep whose comparison it is.
        project: W&B project to upload to.
        entity: W&B user or team; None for the account's default.
        running: whether the run is still running.
    """

    file: Path
    folder: Path
    project: str
    entity: str | None
    running: bool

    @property
    def id(self) -> str:
        """Return W&B's id of the run."""
        return self.file.stem.removeprefix("run-")

    @property
    def uploaded(self) -> bool:
        """Return whether W&B's client has marked it as uploaded."""
        return _synced_mark(self.file).exists()

    @property
    def size(self) -> int:
        """Return the size of all its files in bytes."""
        return sum(path.stat().st_size for path in self.file.parent.rglob("*") if path.is_file())


def find_offline_runs(root: Path) -> list[OfflineRun]:
    """Return all offline runs under a folder, oldest first.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: give that of a sweep or a run, such as outputs/SWEEP.")
    return [_offline_run(file) for file in sorted(root.rglob(_FILES), key=lambda path: path.parent.name)]


def has_pending_uploads(folder: Path) -> bool:
    """Return whether a folder has offline runs that were not uploaded."""
    return any(not _synced_mark(file).exists() for file in folder.rglob(_FILES))


def upload_runs(runs: Sequence[OfflineRun], project: str | None, entity: str | None) -> dict[OfflineRun, str]:
    """Upload runs with `wandb sync`; attempts of the same run are uploaded one after another.

    Args:
        runs: to upload.
        project: replaces each run's project if given.
        entity: replaces each run's entity if given.

    Returns:
        Run -> URL of the run, or an empty text if `wandb sync` printed none. Runs whose upload failed are missing.
    """
    options = [*(("--project", project) if project else ()), *(("--entity", entity) if entity else ())]
    environment = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_SILENT")}
    command = [sys.executable, "-m", "wandb", "sync", "--include-synced", *options, *(str(run.file) for run in runs)]
    for run in runs:
        _synced_mark(run.file).unlink(missing_ok=True)  # of an earlier upload, with --again
    process = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    urls = {url.rpartition("/")[2]: url for url in re.findall(r"https?://\S+/runs/[\w-]+", process.stdout)}
    uploaded = {run: urls.get(run.id, "") for run in runs if run.uploaded}
    if len(uploaded) < len(runs):  # the client's output names the reason
        lines = [line for line in process.stdout.splitlines()[-20:] if "View run" not in line]
        print(*lines, sep="\n", file=sys.stderr)
    return uploaded


def _synced_mark(file: Path) -> Path:
    """Return the file that W&B's client writes beside a run's file when it has uploaded it."""
    return file.with_name(f"{file.name}.synced")


def _offline_run(file: Path) -> OfflineRun:
    folder = file.parents[3]  # RUN/logs/wandb/offline-run-…/run-….wandb
    record = _record_with_tracker(folder)
    tracker = record.config.get("tracker", {}) if record else {}
    running = record is not None and record.status == "running" and (folder / FILE_NAME).exists()
    return OfflineRun(file, folder, tracker.get("project", "ftlab"), tracker.get("entity"), running)


def _record_with_tracker(folder: Path) -> RunRecord | None:
    """Return the record of a run, or any record of a sweep: all its runs have the same tracker."""
    if (folder / FILE_NAME).exists():
        return read_record(folder)
    return next((record for _, record in find_records(folder, onerror=lambda _: None)), None)
