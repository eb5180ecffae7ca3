"""Statements of ftlab about simulated sweeps, from measurements in memory.

`VERSION` is the ftlab that is imported: this one, or that of commit a36ff5e, against which the rates are shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.worlds import Sweep
from ftlab.comparison import advice, contrasts, hypothesis_tests
from ftlab.comparison.contrasts import RowMeasurements
from ftlab.comparison.predictions import ExamplePredictions
from ftlab.comparison.stats.inference import Family, Interval
from ftlab.comparison.stats.variance import DifferenceEstimate
from ftlab.comparison.tables import ComparedRun, Configuration, Table
from ftlab.record import Cost, Metric, MetricColumn, RunRecord

COLUMN = MetricColumn(metric="accuracy", label="accuracy", higher_is_better=True)
ALPHA, LEVEL = 0.05, 0.95


@dataclass(frozen=True)
class Statements:
    """What is said about a table.

    Attributes:
        better: (row, other row) pairs of which the first is called better, corrected for all tests of the table.
        tested: (row, reference) pairs with a test.
        intervals: row -> its 95 % interval.
        margin: row -> `as good`, `worse` by more than the margin, or `open`; empty without a margin.
        letters: row -> group letters.
    """

    better: frozenset[tuple[str, str]]
    tested: frozenset[tuple[str, str]]
    intervals: Mapping[str, Interval]
    margin: Mapping[str, str]
    letters: Mapping[str, str]


def measurements(
    name: str, hits: NDArray[np.bool_], seeds: Sequence[int] | None = None, prefix: str = ""
) -> RowMeasurements:
    """Return the measurements of a row: right answers (seeds, examples), and ids that begin with `prefix`."""
    seeds = list(range(len(hits))) if seeds is None else seeds
    ids = np.array([f"{prefix}{index:06d}" for index in range(hits.shape[1])])
    labels = np.zeros(hits.shape[1], dtype=np.int64)
    return _row(name, "accuracy", ids, labels, {s: (~h).astype(np.int64) for s, h in zip(seeds, hits, strict=True)},
                {s: float(h.mean()) for s, h in zip(seeds, hits, strict=True)})  # fmt: skip


def class_measurements(
    name: str, labels: NDArray[np.int64], answers: NDArray[np.int64], value: float
) -> RowMeasurements:
    """Return the measurements of a row with one seed, whose metric is macro-F1."""
    ids = np.array([f"{index:06d}" for index in range(len(labels))])
    return _row(name, "macro_f1", ids, labels, {0: answers}, {0: value})


def _row(
    name: str,
    metric: str,
    ids: NDArray[np.str_],
    labels: NDArray[np.int64],
    answers: Mapping[int, NDArray[np.int64]],
    values: dict[int, float],
) -> RowMeasurements:
    tables = {seed: pa.table({"label": labels, "prediction": given}) for seed, given in answers.items()}
    predictions = {seed: ExamplePredictions(metric, "class", ids, table) for seed, table in tables.items()}
    return RowMeasurements(name, metric, values, predictions)


def rows_of(sweep: Sweep) -> list[RowMeasurements]:
    """Return the measurements of all methods of a sweep, named by their place."""
    return [measurements(str(place), hits) for place, hits in enumerate(sweep.hits)]


def table_of(rows: Sequence[RowMeasurements], costs: Mapping[str, float], failed: Mapping[str, int]) -> Table:
    """Return a table in memory.

    Args:
        rows: measurements.
        costs: row -> seconds of training.
        failed: row -> number of its runs that failed.
    """
    examples = len(next(iter(rows[0].predictions.values())).ids)
    configurations = [
        Configuration(tuple(_run(row.row, seed, costs[row.row], value, examples) for seed, value in row.values.items()))
        for row in rows
    ]
    unfinished = [
        _run(name, 1000 + number, costs[name], None) for name, count in failed.items() for number in range(count)
    ]
    means = {row.row: -float(np.mean(list(row.values.values()))) for row in rows}
    configurations.sort(key=lambda row: means[row.method])
    return Table("simulated", "simulated", (COLUMN,), tuple(configurations), tuple(unfinished), (), ())


def _run(method: str, seed: int, seconds: float, value: float | None, examples: int = 0) -> ComparedRun:
    cost = Cost(
        setup_s=1.0,
        train_s=seconds,
        eval_s=1.0,
        optimizer_steps=100,
        examples_seen=1000,
        tokens_seen=10000,
        examples_per_s=10.0,
        tokens_per_s=100.0,
        peak_memory_bytes=10**9,
        baseline_memory_bytes=10**8,
        peak_memory_source="simulated",
        base_weight_bytes=10**8,
    )
    record = RunRecord(
        run_id=f"{method}-{seed}",
        status="completed" if value is not None else "failed",
        method=method,
        model="simulated",
        dataset="simulated",
        task="classification",
        predicts="class",
        seed=seed,
        config={},
        determinants={},
        config_hash="",
        started_at=datetime(2026, 12, 1, tzinfo=UTC).isoformat(),
        columns=[COLUMN],
        metrics={} if value is None else {"classification": {"test": {"accuracy": Metric(value=value, n=examples)}}},
        cost=cost,
    )
    return ComparedRun(Path(f"{method}-{seed}"), record, {}, method)


@dataclass(frozen=True)
class Version:
    """A version of ftlab.

    Attributes:
        family: tests of rows against the reference of this label; within a margin if one is given. If the reference is
            not declared, it was chosen afterwards, and the margin is one to the best row.
        advised: the row that is advised, from measurements, costs and failed runs as for `table_of`, and a margin;
            None: no answer.
    """

    family: Callable[..., Statements]
    advised: Callable[[Sequence[RowMeasurements], Mapping[str, float], Mapping[str, int], float], str | None]


def skip_what_is_not_measured(replace_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Spare the smallest detectable differences and the seeds needed, which take most of the time."""
    replace_attribute(DifferenceEstimate, "detectable", lambda estimate, alpha: None)
    if VERSION is _THIS:
        from ftlab.comparison import margins

        replace_attribute(margins, "smallest_number", lambda *arguments: None)


def _statements(family: Family) -> Statements:
    better = frozenset(
        (c.row, c.reference) if c.difference > 0 else (c.reference, c.row)
        for c in family.contrasts
        if c.is_significant(family.alpha)
    )
    tested = frozenset((c.row, c.reference) for c in family.contrasts if c.p is not None)
    within = getattr(family, "within_margin", None)
    margin = {statement.row: statement.verdict for statement in within.statements} if within else {}
    return Statements(better, tested, family.intervals, margin, getattr(family, "letters", {}))


def _family(
    rows: Sequence[RowMeasurements], reference: str, margin: float | None = None, *, declared: bool = True
) -> Family:
    return hypothesis_tests.family_of_measurements(
        rows, COLUMN, reference, margin=margin, declared=declared, margin_against_reference=declared
    ).family


def _advised(
    rows: Sequence[RowMeasurements], costs: Mapping[str, float], failed: Mapping[str, int], margin: float
) -> str | None:
    by_label = {row.row: row for row in rows}

    def run_tests(fit: Sequence[Configuration]) -> Family:
        chosen = [by_label[row.label] for row in fit]
        return _family(chosen, chosen[0].row, margin, declared=False)

    return advice.advise(table_of(rows, costs, failed), advice.Limits(margin=margin), run_tests).method


def _family_before(
    rows: Sequence[RowMeasurements], reference: str, margin: float | None = None, *, declared: bool = True
) -> Family:
    (other,) = [row for row in rows if row.row == reference]
    tests = [
        contrasts.contrast_with_reference(row, other, alpha=ALPHA, level=LEVEL)[0] for row in rows if row is not other
    ]
    tests = hypothesis_tests.holm(tests)
    intervals = {row.row: interval for row in rows if (interval := hypothesis_tests._interval(row))}
    letters = hypothesis_tests.group_letters(reference, tests, ALPHA, higher_is_better=True)
    return Family(reference, COLUMN, ALPHA, tuple(tests), intervals, letters)


def _advised_before(
    rows: Sequence[RowMeasurements], costs: Mapping[str, float], failed: Mapping[str, int], margin: float
) -> str | None:
    by_label = {row.row: row for row in rows}

    def run_tests(fit: Sequence[Configuration], reference: str) -> Family:
        return _family_before([by_label[row.label] for row in fit], reference)

    return advice.advise(table_of(rows, costs, failed), advice.Limits(), run_tests).method


_THIS = Version(lambda *of, **how: _statements(_family(*of, **how)), _advised)
_BEFORE = Version(lambda *of, **how: _statements(_family_before(*of, **how)), _advised_before)
VERSION = _THIS if hasattr(hypothesis_tests, "family_of_measurements") else _BEFORE
