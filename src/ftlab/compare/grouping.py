"""From run folders to a Comparison: read, tell configurations apart, put seeds together, sort."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ftlab.compare.comparability import differences
from ftlab.compare.comparison import Comparison, Configuration, Run, Table
from ftlab.compare.settings import contents, decisive, presets, suffixes
from ftlab.compare.stats import estimate
from ftlab.compare.tuning import searched, searches
from ftlab.errors import UserError
from ftlab.record import FILE_NAME, Column, RunRecord, find_records


def compare(
    roots: Sequence[Path], *, reference: str | None = None, allow: Collection[str] = (), tests: bool = True
) -> Comparison:
    """Compare every run under the given folders.

    Args:
        roots: folders of runs, of sweeps, or of both; a run found twice counts once.
        reference: method or row that the others are held against; None: `full`, or the first by name.
        allow: in what rows may differ and be tested all the same; see `comparability.GUARDED`.
        tests: whether predictions are read and rows tested; without it takes a second, however many runs.

    Raises:
        UserError: a folder does not exist, no readable record lies in any of them, or no row is the reference.
    """
    found, notices = _read(roots)
    trials = [(folder, record) for folder, record in found if record.role == "trial"]
    found = [(folder, record) for folder, record in found if record.role != "trial"]
    if not found:
        raise UserError("All runs found are trials of a search: give its command again, and it goes on to the runs.")
    chosen = searches(trials)
    tables: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in _told_apart(found):
        tuned = replace(run, tuning=chosen.get(searched(run.folder, run.record)))
        tables[run.record.dataset, run.record.model].append(tuned)
    built = [_table(dataset, model, runs) for (dataset, model), runs in sorted(tables.items())]
    notices += _warnings_of_runs([run for table in built for run in table.runs])
    if tests:
        from ftlab.compare.families import with_families  # numpy and all: tables alone do without

        built = list(with_families(built, reference, allow))
    return Comparison(tables=tuple(built), notices=tuple(notices))


def _read(roots: Sequence[Path]) -> tuple[list[tuple[Path, RunRecord]], list[str]]:
    """Return the readable records, oldest first, and a sentence for each that could not be read."""
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder: give the folder of a run, or of a sweep.")
    errors: list[UserError] = []  # one broken record must not hide the others
    found = find_records(*roots, onerror=errors.append)
    if not found:
        if errors:
            raise errors[0]
        places = ", ".join(str(root) for root in roots) or "no folder at all"
        raise UserError(f"No run found in {places}: give a folder that holds {FILE_NAME}, or holds such folders.")
    return found, [f"A run was left out: {error}" for error in errors]


def _told_apart(found: Iterable[tuple[Path, RunRecord]]) -> list[Run]:
    """Tell the configurations of each method apart."""
    families: dict[tuple[str, str, str], list[tuple[Path, RunRecord]]] = defaultdict(list)
    for folder, record in found:
        families[record.dataset, record.model, record.method].append((folder, record))
    return [run for members in families.values() for run in _family(members)]


def _family(members: Sequence[tuple[Path, RunRecord]]) -> list[Run]:
    """Tell the configurations of one method apart: by their settings, and by the contents of data and base model."""
    keys = [json.dumps(decisive(record), sort_keys=True) for _, record in members]
    distinct = {key: record for key, (_, record) in zip(keys, members, strict=True)}
    names = suffixes([decisive(r) for r in distinct.values()], [presets(r) for r in distinct.values()])
    suffix = dict(zip(distinct, names, strict=True))
    hashes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, (_, record) in zip(keys, members, strict=True):
        for part, digest in contents(record).items():
            hashes[key, part].add(digest)
    runs = []
    for key, (folder, record) in zip(keys, members, strict=True):
        read = contents(record)
        # named where the settings are the same, and the files that they name have changed
        changed = [f"{part}={digest[:8]}" for part, digest in read.items() if len(hashes[key, part]) > 1]
        label = " ".join(part for part in (suffix[key], *changed) if part)
        runs.append(Run(folder, record, label, f"{key} {read}"))
    return runs


def _table(dataset: str, model: str, runs: Sequence[Run]) -> Table:
    columns: dict[str, Column] = {}
    for run in runs:
        for column in run.record.columns:
            columns.setdefault(column.metric, column)
    configurations: dict[str, dict[int, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.completed:
            configurations[f"{run.record.method} {run.configuration}"][run.record.seed].append(run)
    rows, superseded, repeated = [], [], []
    for seeds in configurations.values():
        chosen = []
        for seed, repeats in sorted(seeds.items()):
            newest = max(repeats, key=lambda run: run.record.started_at)
            chosen.append(newest)
            if len(repeats) > 1:  # the same seed twice is no second sample
                superseded += [run for run in repeats if run is not newest]
                repeated.append(f"{newest.label} with seed {seed}")
        rows.append(Configuration(tuple(chosen)))
    rows = _sorted(rows, next(iter(columns.values()), None))
    warnings, marks = differences([(row.label, row.runs) for row in rows])
    if repeated:
        more = f" and {len(repeated) - 3} more" if len(repeated) > 3 else ""
        warnings.append(f"completed more than once, and only the newest run counts: {', '.join(repeated[:3])}{more}.")
    return Table(
        dataset=dataset,
        model=model,
        columns=tuple(columns.values()),
        rows=tuple(replace(row, marks=mark) for row, mark in zip(rows, marks, strict=True)),
        unfinished=tuple(sorted((run for run in runs if not run.completed), key=lambda run: run.label)),
        superseded=tuple(superseded),
        warnings=tuple(warnings),
    )


def _sorted(rows: Sequence[Configuration], column: Column | None) -> list[Configuration]:
    """Sort by the first headline metric, the better values first and rows without a value last."""

    def key(row: Configuration) -> tuple[bool, float, str]:
        value = estimate([run.test(column.metric) for run in row.runs]) if column else None
        if column is None or value is None:
            return True, 0.0, row.label
        return False, -value.mean if column.higher_is_better else value.mean, row.label

    return sorted(rows, key=key)


def _warnings_of_runs(runs: Sequence[Run]) -> list[str]:
    """Return the runs' own warnings, failed checks among them, each text once with the rows that it concerns."""
    holders: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        record = run.record
        for text in dict.fromkeys(record.warnings):
            holders[text].append(f"{run.label} on {record.dataset} with {record.model}")
    notices = []
    for text, names in holders.items():
        distinct = list(dict.fromkeys(names))
        more = f" and {len(distinct) - 1} more" if len(distinct) > 1 else ""
        notices.append(f"{distinct[0]}{more}: {text}")
    return notices
