"""Offline runs of W&B: where they lie, where they would go, and their upload through W&B's own client."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftlab.errors import UserError
from ftlab.record import FILE_NAME, RunRecord, find_records, read_record

_MARK = ".synced"  # W&B's client leaves a file of this ending beside what it has uploaded


@dataclass(frozen=True)
class Offline:
    """One attempt of a run, or a comparison, as W&B keeps it offline.

    Attributes:
        file: the run's .wandb file.
        owner: folder of the run, or of the sweep whose comparison it is.
        project: where it goes.
        entity: user or team; None: the account's own.
        running: whether its run still goes on.
    """

    file: Path
    owner: Path
    project: str
    entity: str | None
    running: bool

    @property
    def id(self) -> str:
        """Return W&B's id of the run."""
        return self.file.stem.removeprefix("run-")

    @property
    def uploaded(self) -> bool:
        """Whether W&B's client has marked it as uploaded."""
        return self.file.with_name(self.file.name + _MARK).exists()

    @property
    def size(self) -> int:
        """Return the bytes of all its files."""
        return sum(path.stat().st_size for path in self.file.parent.rglob("*") if path.is_file())


def find(root: Path) -> list[Offline]:
    """Return all offline runs under a folder, oldest first.

    Raises:
        UserError: there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder: name a sweep or a run, such as outputs/SWEEP.")
    files = sorted(root.rglob("wandb/offline-run-*/run-*.wandb"), key=lambda path: path.parent.name)
    return [_described(file) for file in files]


def upload(runs: Sequence[Offline], project: str | None, entity: str | None) -> dict[Offline, str]:
    """Upload runs through `wandb sync`; attempts of the same run follow one another.

    Args:
        runs: what is uploaded.
        project: instead of each run's own.
        entity: the same.

    Returns:
        Run -> where it can be seen, or an empty text where that was not told. Runs that were not taken are missing.
    """
    options = [*(("--project", project) if project else ()), *(("--entity", entity) if entity else ())]
    environment = {name: value for name, value in os.environ.items() if name not in ("WANDB_MODE", "WANDB_SILENT")}
    command = [sys.executable, "-m", "wandb", "sync", "--include-synced", *options, *(str(run.file) for run in runs)]
    for run in runs:
        run.file.with_name(run.file.name + _MARK).unlink(missing_ok=True)  # of an earlier upload, with --again
    done = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    places = {url.rpartition("/")[2]: url for url in re.findall(r"https?://\S+/runs/[\w-]+", done.stdout)}
    found = {run: places.get(run.id, "") for run in runs if run.uploaded}
    if len(found) < len(runs):  # its own words say why
        print(*(line for line in done.stdout.splitlines()[-20:] if "View run" not in line), sep="\n", file=sys.stderr)
    return found


def _described(file: Path) -> Offline:
    owner = file.parents[3]  # RUN/logs/wandb/offline-run-…/run-….wandb
    record = _record(owner)
    tracker = record.config.get("tracker", {}) if record else {}
    running = record is not None and record.status == "running" and (owner / FILE_NAME).exists()
    return Offline(file, owner, tracker.get("project", "ftlab"), tracker.get("entity"), running)


def _record(owner: Path) -> RunRecord | None:
    """Return the record of a run, or any of a sweep's: their tracker is the same."""
    if (owner / FILE_NAME).exists():
        return read_record(owner)
    return next((record for _, record in find_records(owner, onerror=lambda _: None)), None)
