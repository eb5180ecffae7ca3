"""Comparison built from run folders: reads records, groups seeds by configuration, sorts."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ftlab.comparison.comparability import UNFINISHED, condition_differences
from ftlab.comparison.declared import Decision, MarginText, check_margin
from ftlab.comparison.looks import (
    TableKey,
    reasons_to_wait,
    waiting_jobs,
    with_added_seeds_marked,
)
from ftlab.comparison.searched_rows import with_reused_seeds_marked
from ftlab.comparison.settings import content_hashes, distinguishing_settings, preset_names, settings_of_row
from ftlab.comparison.tables import ComparedRun, ComparisonTables, Configuration, Table
from ftlab.comparison.tuning import Searches
from ftlab.core.errors import UserError
from ftlab.record import FILE_NAME, MetricColumn, RunRecord, find_records


def compare(
    roots: Sequence[Path],
    *,
    reference: str | None = None,
    margin: MarginText = None,
    allow: Collection[str] = (),
    tests: bool = True,
) -> ComparisonTables:
    """Compare every run under the given folders.

    Args:
        roots: folders of runs, of sweeps, or of both; a run that is found twice counts once.
        reference: method or label of the reference row; None: as the sweep declared it, or `full`, or the first by
            name.
        margin: rows at most this far behind the best count as as good: in the metric's unit, or `1%` of its range;
            None: as the sweep declared it, or 0.01 for metrics between 0 and 1.
        allow: differences that do not prevent a test, see `comparability.MUST_MATCH`; `unfinished` tests tables in
            which declared runs are not in yet.
        tests: whether to read predictions and test the rows; without, even many runs take only a second.

    Raises:
        UserError: a folder does not exist, none of them has a readable record, no row is the reference, or the margin
            is not possible.
    """
    records, notices = read_records(roots)
    waiting = waiting_jobs(roots) if tests else ()
    return compare_records(
        records, notices, reference=reference, margin=margin, allow=allow, tests=tests, waiting=waiting
    )


def compare_records(
    records: Sequence[tuple[Path, RunRecord]],
    notices: Sequence[str] = (),
    *,
    reference: str | None = None,
    margin: MarginText = None,
    allow: Collection[str] = (),
    tests: bool = True,
    waiting: Sequence[TableKey] = (),
) -> ComparisonTables:
    """Compare runs whose records have been read; see `compare`.

    Args:
        records: folder and record of each run, the oldest first.
        notices: sentences about runs that are left out.
        reference: as for `compare`, like the arguments below.
        margin: see there.
        allow: see there.
        tests: see there.
        waiting: dataset and model of each job that has no record yet; see `waiting_jobs`.

    Raises:
        UserError: all runs are trials, no row is the reference, or the margin is not possible.
    """
    trials = [(folder, record) for folder, record in records if record.role == "trial"]
    records = [(folder, record) for folder, record in records if record.role != "trial"]
    if not records:
        raise UserError("All runs found are trials of a search: repeat its command, which continues with the runs.")
    searches = Searches(trials)
    runs_by_table: dict[tuple[str, str], list[ComparedRun]] = defaultdict(list)
    for run in _label_configurations(records):
        tuned = replace(run, tuning=searches.tuning_of(run.folder, run.record))
        runs_by_table[run.record.dataset, run.record.model].append(tuned)
    trial_hashes = {record.config_hash for _, record in trials}
    tables = [
        with_reused_seeds_marked(_build_table(dataset, model, runs), trial_hashes)
        for (dataset, model), runs in sorted(runs_by_table.items())
    ]
    notices = [*notices, *_warnings_of_runs([run for table in tables for run in table.runs])]
    if tests:
        check_margin(margin, [table.columns[0].metric for table in tables if table.columns])
        reasons = {} if UNFINISHED in allow else reasons_to_wait([*trials, *records], waiting)
        tables = _test_tables(tables, reasons, Decision(reference, margin), allow)
    return ComparisonTables(tables=tuple(tables), notices=tuple(notices))


def read_records(roots: Sequence[Path]) -> tuple[list[tuple[Path, RunRecord]], list[str]]:
    """Return folder and record of each run, oldest first, and a sentence for each record that cannot be read.

    Raises:
        UserError: a folder does not exist, or none of them has a readable record.
    """
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root} is not a folder: give the folder of a run, or of a sweep.")
    errors: list[UserError] = []  # one broken record must not hide the others
    records = find_records(*roots, onerror=errors.append)
    if not records:
        if errors:
            raise errors[0]
        folders = ", ".join(str(root) for root in roots) or "no folder at all"
        raise UserError(f"No run found in {folders}: give a folder with {FILE_NAME} in it or below it.")
    return records, [f"A run was left out: {error}" for error in errors]


def _test_tables(
    tables: Sequence[Table], reasons: Mapping[TableKey, str], decision: Decision, allow: Collection[str]
) -> list[Table]:
    """Return the tables with their tests, or with the reason why a table has to wait for them."""
    # import numpy, which tables do not need
    from ftlab.comparison.baseline import with_baselines
    from ftlab.comparison.hypothesis_tests import with_hypothesis_tests

    waits = [
        # rows of one configuration alone are never tested
        reasons.get((table.dataset, table.model), "") if len({run.label for run in table.runs}) > 1 else ""
        for table in tables
    ]
    ready = [table for table, reason in zip(tables, waits, strict=True) if not reason]
    names = {name for table in ready for row in table.rows for name in (row.method, row.label)}
    if any(waits) and decision.reference not in names:  # a table that waits may have it
        decision = replace(decision, reference=None)
    tested = iter(with_hypothesis_tests(ready, decision, allow))
    tables = [
        replace(table.with_warning(reason), untested=reason) if reason else with_added_seeds_marked(next(tested))
        for table, reason in zip(tables, waits, strict=True)
    ]
    return with_baselines(tables)


def _label_configurations(records: Iterable[tuple[Path, RunRecord]]) -> list[ComparedRun]:
    """Return the runs, each labelled by its configuration, method by method."""
    by_method: dict[tuple[str, str, str], list[tuple[Path, RunRecord]]] = defaultdict(list)
    for folder, record in records:
        by_method[record.dataset, record.model, record.method].append((folder, record))
    return [run for runs_of_method in by_method.values() for run in _label_method(runs_of_method)]


def _label_method(records: Sequence[tuple[Path, RunRecord]]) -> list[ComparedRun]:
    """Return the runs of one method, labelled by their settings and by the hashes of data and base model."""
    keys = [json.dumps(settings_of_row(record), sort_keys=True) for _, record in records]
    distinct = {key: record for key, (_, record) in zip(keys, records, strict=True)}
    settings = distinguishing_settings(
        [settings_of_row(r) for r in distinct.values()], [preset_names(r.config) for r in distinct.values()]
    )
    settings_of = dict(zip(distinct, settings, strict=True))
    hashes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, (_, record) in zip(keys, records, strict=True):
        for part, digest in content_hashes(record).items():
            hashes[key, part].add(digest)
    runs = []
    for key, (folder, record) in zip(keys, records, strict=True):
        own_hashes = content_hashes(record)
        # shown if the settings are the same, but the content of the files has changed
        changed = {part: digest[:8] for part, digest in own_hashes.items() if len(hashes[key, part]) > 1}
        runs.append(ComparedRun(folder, record, settings_of[key] | changed, f"{key} {own_hashes}"))
    return runs


def _build_table(dataset: str, model: str, runs: Sequence[ComparedRun]) -> Table:
    columns: dict[str, MetricColumn] = {}
    for run in runs:
        for column in run.record.columns:
            columns.setdefault(column.metric, column)
    configurations: dict[str, dict[int, list[ComparedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.completed:
            configurations[f"{run.record.method} {run.configuration_key}"][run.record.seed].append(run)
    rows, superseded, repeated = [], [], []
    for seeds in configurations.values():
        newest_runs = []
        for seed, repeats in sorted(seeds.items()):
            newest = max(repeats, key=lambda run: run.record.started_at)
            newest_runs.append(newest)
            if len(repeats) > 1:  # a repetition of a seed is not a second sample
                superseded += [run for run in repeats if run is not newest]
                repeated.append(f"{newest.label} with seed {seed}")
        rows.append(Configuration(tuple(newest_runs)))
    rows = _sort_rows(rows, next(iter(columns.values()), None))
    warnings, marks = condition_differences([(row.label, row.runs) for row in rows])
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


def _sort_rows(rows: Sequence[Configuration], column: MetricColumn | None) -> list[Configuration]:
    """Sort by the first headline metric, better values first and rows without a value last."""

    def key(row: Configuration) -> tuple[bool, float, str]:
        value = row.test(column.metric) if column else None
        if column is None or value is None:
            return True, 0.0, row.label
        return False, -value.mean if column.higher_is_better else value.mean, row.label

    return sorted(rows, key=key)


def _warnings_of_runs(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the warnings in the records, including failed checks, each text once with the rows that have it."""
    rows_by_text: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        record = run.record
        for text in dict.fromkeys(record.warnings):
            rows_by_text[text].append(f"{run.label} on {record.dataset} with {record.model}")
    notices = []
    for text, names in rows_by_text.items():
        distinct = list(dict.fromkeys(names))
        more = f" and {len(distinct) - 1} more" if len(distinct) > 1 else ""
        notices.append(f"{distinct[0]}{more}: {text}")
    return notices
