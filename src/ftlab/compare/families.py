"""The declared family of tests of a table: every row against one reference, on the first headline metric."""

import gc
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ftlab.compare.comparability import refusals
from ftlab.compare.comparison import Configuration, Table
from ftlab.compare.contrasts import Measured, contrast, untested
from ftlab.compare.inference import Contrast, Family, Interval
from ftlab.compare.predictions import Answers, Unusable, read_answers
from ftlab.compare.stats import estimate
from ftlab.compare.trained import over_examples
from ftlab.compare.variance import Components, quantile
from ftlab.errors import UserError, did_you_mean

ALPHA = 0.05  # family-wise error rate
LEVEL = 0.95  # of intervals, each on its own
REFERENCE = "full"  # the method that the others stand in for


@dataclass(frozen=True)
class Tested:
    """A family, and what plans of further runs are made from.

    Attributes:
        family: the tests.
        components: label of a row -> variances of its difference from the reference; rows without them are missing.
    """

    family: Family
    components: dict[str, Components]


def with_families(
    tables: Sequence[Table], reference: str | None = None, allow: Collection[str] = ()
) -> tuple[Table, ...]:
    """Return the tables with their tests.

    Args:
        tables: as they are.
        reference: method, or label of a row, that the others are held against; None: see `reference_row`.
        allow: in what rows may differ and be tested all the same; see `refusals`.

    Raises:
        UserError: no table has such a row.
    """
    tested = family_of_each(tables, reference, allow)
    return tuple(
        replace(table, family=of_table.family) if of_table else table
        for table, of_table in zip(tables, tested, strict=True)
    )


def family_of_each(
    tables: Sequence[Table], reference: str | None = None, allow: Collection[str] = ()
) -> list[Tested | None]:
    """Return the tests of each table; None where there is nothing to test. See `with_families`."""
    if reference is not None:
        names = list(dict.fromkeys(name for table in tables for row in table.rows for name in (row.method, row.label)))
        if reference not in names:
            raise UserError(f"No row of the comparison is called {reference}: {did_you_mean(reference, names)}.")
    return [_tested(table, reference, allow) for table in tables]


def family_of(
    table: Table, rows: Sequence[Configuration], reference: str, allow: Collection[str] = ()
) -> Family | None:
    """Return the tests of some rows of a table against one of them; None where there is nothing to test."""
    tested = _tested(replace(table, rows=tuple(rows)), reference, allow)
    return tested.family if tested else None


def reference_row(table: Table, reference: str | None = None) -> Configuration:
    """Return the row that the others are held against.

    That is the row of the given name, or else of the method `full`, or else of the method that comes first by name. Of
    several rows of one method it is the first by label: the order by results must not choose it.
    """
    rows = sorted(table.rows, key=lambda row: (row.method, row.label))
    for name in (reference, REFERENCE):
        for named in ([row for row in rows if row.label == name], [row for row in rows if row.method == name]):
            if named:
                return named[0]
    return rows[0]


def _tested(table: Table, asked: str | None, allow: Collection[str]) -> Tested | None:
    if len(table.rows) < 2 or not table.columns:
        return None
    column, reference = table.columns[0], reference_row(table, asked)
    notes: list[str] = []
    refused = refusals(table.rows, reference, allow)
    if asked is not None and asked not in (reference.method, reference.label):
        notes.append(f"{asked} has no completed run here: {reference.label} is the reference.")
    problems: dict[str, list[str]] = defaultdict(list)
    base = _measured(reference, column.metric, problems)
    intervals: dict[str, Interval] = {}
    contrasts: list[Contrast] = []
    components: dict[str, Components] = {}
    for row in table.rows:
        measured = base if row is reference else _measured(row, column.metric, problems)
        interval = _interval(measured)
        if interval is not None:
            intervals[row.label] = interval
        if row is reference or not measured.values or not base.values:
            continue
        if row.label in refused:
            why = "; ".join(refusal.reason for refusal in refused[row.label])
            contrasts.append(untested(measured, base, f"not comparable: {why}"))
            continue
        found, parts = contrast(measured, base, alpha=ALPHA, level=LEVEL)
        contrasts.append(found)
        if parts is not None:
            components[row.label] = parts
    contrasts = holm(contrasts)
    for why, labels in problems.items():
        names = list(dict.fromkeys(labels))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        notes.append(f"No test on examples of {', '.join(names[:3])}{more}: {why}.")
    notes += [
        f"{label} is not tested against {reference.label}, for they are not comparable: "
        f"{'; '.join(one.reason for one in why)}. To test it all the same: "
        f"--allow {','.join(dict.fromkeys(one.word for one in why))}."
        for label, why in refused.items()
    ]
    if not base.values:
        notes.append(f"Nothing is tested: {reference.label} has no {column.label}.")
    if any(c.scope == "trained models" and c.p is not None for c in contrasts):
        notes.append(
            "With one seed a test speaks of these trained models alone; another seed may turn it round. "
            "For a statement about methods give each at least 3 seeds."
        )
    letters = lettered(reference.label, contrasts, ALPHA, higher_is_better=column.higher_is_better)
    family = Family(reference.label, column, ALPHA, tuple(contrasts), intervals, letters, tuple(notes))
    return Tested(family, components)


def holm(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts with p values that hold for all of them together (Holm, 1979)."""
    from statsmodels.stats.multitest import multipletests

    known = [c.p for c in contrasts if c.p is not None]
    gc.freeze()  # multipletests collects garbage each time, which takes long where many records were read
    try:
        adjusted = iter(multipletests(known, method="holm")[1] if known else [])
    finally:
        gc.unfreeze()
    return [c if c.p is None else replace(c, adjusted=float(next(adjusted))) for c in contrasts]


def lettered(reference: str, contrasts: Sequence[Contrast], alpha: float, *, higher_is_better: bool) -> dict[str, str]:
    """Return letters by what was tested, the contrasts with the reference alone.

    `a`: the reference and the rows that were not told apart from it; `b`: rows found better than it; `c`: rows found
    worse. Rows that could not be tested have none. Rows with the same letter were never told apart: of each other they
    were not tested, but for the reference.
    """
    letters = {reference: "a"}
    for c in contrasts:
        if c.adjusted is not None:
            better = (c.difference > 0) == higher_is_better
            letters[c.row] = ("b" if better else "c") if c.different(alpha) else "a"
    return letters


def _measured(row: Configuration, metric: str, problems: dict[str, list[str]]) -> Measured:
    """Read a row's metric and test examples; note in `problems` why examples cannot be used."""
    values = {run.record.seed: value for run in row.runs if (value := run.test(metric)) is not None}
    answers: dict[int, Answers] = {}
    for run in row.runs:
        if run.record.seed in values:
            try:
                answers[run.record.seed] = read_answers(run, metric)
            except Unusable as error:
                problems[str(error)].append(row.label)
    return Measured(row.label, metric, values, answers)


def _interval(row: Measured) -> Interval | None:
    """Return the interval of a row's mean: over seeds where there are several, else over examples."""
    mean = estimate(list(row.values.values()))
    if mean is None:
        return None
    if mean.sd is not None:
        half = quantile(1 - LEVEL, mean.n - 1) * mean.sd / mean.n**0.5
        return Interval(mean.mean - half, mean.mean + half, LEVEL, f"t over {mean.n} seeds")
    answers = next(iter(row.answers.values()), None)
    return over_examples(answers.contributions, LEVEL) if answers else None
