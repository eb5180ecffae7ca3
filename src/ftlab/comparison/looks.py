"""Looks at a sweep: no tests before all declared runs are in, and a mark on seeds that came after tests were seen.

A test at each look, until one finds a difference, errs more often than its level says. A sweep declares its runs by
their folders: each has a configuration before the first run starts. The first comparison of a row that showed tests is
kept in the sweep's folder (`LOOKS_FILE`).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ValidationError

from ftlab.comparison.comparability import UNFINISHED
from ftlab.comparison.formats import format_seeds, name_some
from ftlab.comparison.tables import ComparisonTables, Configuration, Table
from ftlab.core.atomic import write_text
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, RunRecord
from ftlab.record.folder import CONFIG
from ftlab.record.reading import read_json, require_file
from ftlab.record.run_record import now

LOOKS_FILE = "looks.json"
NOT_IN = ("running", "waiting", "interrupted", "timeout")  # states of runs that may still get a result
TableKey = tuple[str, str]  # dataset and model


class Look(BaseModel):
    """First comparison that showed tests of a row."""

    row: str  # its label
    at: AwareDatetime
    seeds: list[int]


class _Looks(BaseModel):
    """Content of `LOOKS_FILE`."""

    kind: Literal["ftlab-looks"]
    rows: dict[str, Look] = {}  # by `_row_key`


def waiting_jobs(roots: Iterable[Path]) -> list[TableKey]:
    """Return dataset and model of each job below these folders that has a configuration and no record yet."""
    folders = {
        path.parent.resolve()
        for root in roots
        for path in root.rglob(CONFIG)
        # hidden folders are of plans, and of runs that are being removed
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    return [key for folder in sorted(folders) if not (folder / FILE_NAME).exists() and (key := _table_key(folder))]


def reasons_to_wait(records: Iterable[tuple[Path, RunRecord]], waiting: Iterable[TableKey]) -> dict[TableKey, str]:
    """Return dataset and model -> a sentence on declared runs that are not in, for each table that has some.

    Failed, pruned and paused runs are in: they have come to the end that was decided for them. A trial counts only
    while it is open, when the runs that it chooses for are still to come.

    Args:
        records: folder and record of each run and trial.
        waiting: of the jobs without a record.
    """
    states: dict[TableKey, Counter[str]] = defaultdict(Counter)
    for _, record in records:
        if record.role != "trial" or record.status in NOT_IN:
            states[record.dataset, record.model][record.status] += 1
    for key in waiting:
        states[key]["waiting"] += 1
    return {key: sentence for key, of_table in states.items() if (sentence := _reason_to_wait(of_table))}


def with_added_seeds_marked(table: Table) -> Table:
    """Return the table with a warning about seeds that were added after a comparison with tests, if it shows tests."""
    tested = {_row_key(row) for row in _tested_rows(table)}
    looks = _first_looks(folder for row in table.rows for folder in _sweeps(row)) if tested else {}
    labels: dict[tuple[str, str], list[str]] = defaultdict(list)  # seeds and date -> rows
    for row in table.rows:
        look = looks.get(_row_key(row))
        if look is not None and _row_key(row) in tested and (added := _seeds_added_after(look, row)):
            labels[format_seeds(added), f"{look.at:%Y-%m-%d}"].append(row.label)
    for (seeds, date), rows in labels.items():
        table = table.with_warning(
            f"{seeds} of {name_some(rows)} came after a comparison of {date} that showed tests: p values "
            "hold for seeds that were declared before it; testing again with more errs in 10 to 25 % instead of 5 %.",
            rows,
        )
    return table


def record_looks(comparison: ComparisonTables) -> None:
    """Keep in the folders of the sweeps which rows with which seeds this comparison shows tests of.

    Only the first look at a row is kept: what is added after it is marked. A file that is damaged or of somebody else
    stays as it is, and so does a folder in which nothing can be written.
    """
    looks: dict[Path, dict[str, Look]] = defaultdict(dict)
    for table in comparison.tables:
        for row in _tested_rows(table):
            look = Look(row=row.label, at=datetime.fromisoformat(now()), seeds=[run.record.seed for run in row.runs])
            for folder in _sweeps(row):
                looks[folder][_row_key(row)] = look
    for folder, of_folder in looks.items():
        earlier = _read_looks(folder)
        if earlier is not None and of_folder.keys() - earlier.rows.keys():
            content = _Looks(kind="ftlab-looks", rows={**of_folder, **earlier.rows})
            with suppress(OSError):
                write_text(folder / LOOKS_FILE, content.model_dump_json(indent=1) + "\n")


def _table_key(folder: Path) -> TableKey | None:
    """Return dataset and model of a job from its configuration; None if it is none of a job."""
    with suppress(UserError, OSError, ValueError, RecursionError, yaml.YAMLError):
        require_file(folder / CONFIG)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where it is there, is ten times as fast
        values = yaml.load((folder / CONFIG).read_text(encoding="utf-8"), Loader=loader)
        names = [_name(values, group) for group in ("dataset", "model", "method")]
        if all(names):
            return str(names[0]), str(names[1])
    return None


def _name(values: Any, group: str) -> str | None:
    settings = values.get(group) if isinstance(values, Mapping) else None
    name = settings.get("name") if isinstance(settings, Mapping) else None
    return name if isinstance(name, str) else None


def _reason_to_wait(states: Counter[str]) -> str:
    """Return the sentence for the runs of a table by their states; empty if all are in."""
    missing = {state: states[state] for state in NOT_IN if states[state]}
    if not missing:
        return ""
    total, complete = states.total(), states.total() - sum(missing.values())
    counts = ", ".join(f"{number} {state}" for state, number in missing.items())
    verb = "is" if complete == 1 else "are"
    return (
        f"no tests before all {total} declared runs are in: {complete} {verb} ({counts}). A test at each look errs in "
        "10 to 25 % instead of 5 %. The sweep's command finishes the others; ftlab compare --allow "
        f"{UNFINISHED} tests without them."
    )


def _tested_rows(table: Table) -> list[Configuration]:
    """Return the rows of whose tests a comparison shows p values, the reference included."""
    family = table.family
    tested = {contrast.row for contrast in family.contrasts if contrast.p is not None} if family else set()
    labels = {*tested, family.reference} if family and tested else tested
    return [row for row in table.rows if row.label in labels]


def _row_key(row: Configuration) -> str:
    """Return a hash that is equal for configurations that differ only in the seed."""
    return hashlib.sha256(f"{row.method} {row.runs[0].configuration_key}".encode()).hexdigest()[:16]


def _sweeps(row: Configuration) -> list[Path]:
    return list(dict.fromkeys(run.folder.resolve().parent for run in row.runs))


def _seeds_added_after(look: Look, row: Configuration) -> list[int]:
    """Return the seeds of the row that the look did not show and whose runs ended after it."""
    return [
        run.record.seed
        for run in row.runs
        if run.record.seed not in look.seeds
        and datetime.fromisoformat(run.record.finished_at or run.record.started_at) >= look.at
    ]


def _first_looks(folders: Iterable[Path]) -> dict[str, Look]:
    """Return `_row_key` -> the earliest look at it in the files of these folders."""
    first: dict[str, Look] = {}
    for folder in dict.fromkeys(folders):
        looks = _read_looks(folder)
        for key, look in looks.rows.items() if looks else ():
            if key not in first or look.at < first[key].at:
                first[key] = look
    return first


def _read_looks(folder: Path) -> _Looks | None:
    """Return the looks that are kept in a folder; None if its file is damaged, or of somebody else."""
    try:
        return _Looks.model_validate(read_json(folder / LOOKS_FILE))
    except FileNotFoundError:
        return _Looks(kind="ftlab-looks")
    except (UserError, ValidationError):
        return None
