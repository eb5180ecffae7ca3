"""Listing of a folder of outputs: its sweeps and runs with their states, newest first."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.text import Text

from ftlab.comparison.folder_table import FolderColumn
from ftlab.comparison.formats import name_some, printable
from ftlab.comparison.settings import RunSettings, run_labels
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, RunRecord, find_records
from ftlab.record.folder import CONFIG

_ORDER = ("completed", "running", "waiting", "paused", "pruned", "interrupted", "timeout", "oom", "failed")
_MAX_NAMES = 4  # methods, and tables, of a sweep
_STYLES = {
    "completed": "green",
    "running": "cyan",
    "waiting": "dim",
    **dict.fromkeys(("paused", "pruned", "interrupted", "timeout"), "yellow"),
}


@dataclass(frozen=True)
class Entry:
    """A sweep, or a single run; its fields, in this order, are the columns of `--plain` and the keys of `--json`.

    Attributes:
        folder: its folder.
        varies: of a run, the settings that tell it from the others of its sweep; empty for a sweep.
        started: start time of its first run, ISO 8601; empty if none has started.
        states: state -> number of runs; `waiting` counts jobs that have no record yet.
        methods: names, in the order of their first runs.
        tables: dataset and model of each table in its comparison.
    """

    folder: Path
    varies: str
    started: str
    states: dict[str, int]
    methods: tuple[str, ...]
    tables: tuple[str, ...]


def entries(root: Path, *, runs: bool = False) -> tuple[list[Entry], list[str]]:
    """Return the entries of a folder, newest first, and a sentence for each record that cannot be read.

    Args:
        root: a folder of sweeps, or of runs, which are then listed one by one.
        runs: list every run by itself, also those in sweeps.

    Raises:
        UserError: the folder does not exist, or contains no run.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give a folder of runs or sweeps, such as outputs.")
    errors: list[str] = []
    records = find_records(root, onerror=lambda error: errors.append(str(error)))
    labels = _labels(records)
    groups: dict[Path, list[RunRecord]] = defaultdict(list)
    waiting: Counter[Path] = Counter()
    for folder, record in records:
        groups[_group(folder, root, runs)].append(record)
    for path in root.rglob(CONFIG):
        if not (path.parent / FILE_NAME).exists():
            waiting[_group(path.parent, root, runs)] += 1
    listed = [_entry(folder, labels.get(folder, ""), groups[folder], waiting[folder]) for folder in {*groups, *waiting}]
    if not listed and not errors:
        raise UserError(f"{root} contains no run: give a folder of runs or sweeps, such as outputs.")
    return sorted(listed, key=lambda entry: (entry.started, str(entry.folder)), reverse=True), errors


def listing_columns(listed: Sequence[Entry], root: Path) -> list[FolderColumn]:
    """Return the entries as columns for the terminal."""

    def texts(*cells: str) -> list[Text]:
        return [Text(printable(cell)) for cell in cells]

    return [
        FolderColumn(
            "folder",
            texts(*(entry.folder.relative_to(root).as_posix() if entry.folder != root else "." for entry in listed)),
        ),
        FolderColumn("varies", texts(*(entry.varies for entry in listed)), importance=4, folds=True),
        FolderColumn("started", texts(*(_local(entry.started) for entry in listed)), importance=3),
        FolderColumn("runs", texts(*(str(sum(entry.states.values())) for entry in listed)), importance=1, right=True),
        FolderColumn("status", [_status(entry.states) for entry in listed]),
        FolderColumn(
            "methods", texts(*(name_some(entry.methods, _MAX_NAMES) for entry in listed)), importance=5, folds=True
        ),
        FolderColumn(
            "data and model",
            texts(*(name_some(entry.tables, _MAX_NAMES) for entry in listed)),
            importance=2,
            folds=True,
        ),
    ]


def _group(folder: Path, root: Path, runs: bool) -> Path:
    """Return the sweep of a run; the run itself if it is listed by itself."""
    return folder if runs or folder.parent in (root, root.parent) else folder.parent


def _labels(records: Sequence[tuple[Path, RunRecord]]) -> dict[Path, str]:
    """Return folder of a run -> its label within its sweep."""
    sweeps: dict[Path, list[tuple[Path, RunRecord]]] = defaultdict(list)
    for folder, record in records:
        sweeps[folder.parent].append((folder, record))
    return {
        folder: label
        for runs in sweeps.values()
        for (folder, _), label in zip(runs, run_labels([RunSettings.of(record) for _, record in runs]), strict=True)
    }


def _entry(folder: Path, varies: str, records: Sequence[RunRecord], waiting: int) -> Entry:
    counted = Counter[str](record.status for record in records)
    counted["waiting"] = waiting
    return Entry(
        folder=folder,
        varies=varies,
        started=min((record.started_at for record in records), default=""),
        states={name: counted[name] for name in _ORDER if counted[name]},
        methods=tuple(dict.fromkeys(record.method for record in records)),
        tables=tuple(dict.fromkeys(f"{record.dataset} · {record.model}" for record in records)),
    )


def status_style(status: str) -> str:
    """Return the style of a status in the terminal."""
    return _STYLES.get(status, "red")


def _status(states: dict[str, int]) -> Text:
    alone = sum(states.values()) == 1
    parts = [Text(name if alone else f"{count} {name}", status_style(name)) for name, count in states.items()]
    return Text(", ").join(parts)


def _local(started: str) -> str:
    return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M") if started else ""
