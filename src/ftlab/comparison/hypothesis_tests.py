"""Family of hypothesis tests of a table: every row against one reference, on the first headline metric."""

import gc
import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ftlab.comparison.comparability import refusals
from ftlab.comparison.contrasts import RowMeasurements, contrast_with_reference, untested_contrast
from ftlab.comparison.predictions import ExamplePredictions, UnusablePredictions, read_predictions
from ftlab.comparison.stats.estimate import estimate
from ftlab.comparison.stats.inference import Contrast, Family, Interval
from ftlab.comparison.stats.one_seed import example_interval
from ftlab.comparison.stats.variance import VarianceComponents, t_quantile
from ftlab.comparison.tables import Configuration, Table
from ftlab.core.errors import UserError, did_you_mean

ALPHA = 0.05  # family-wise error rate
LEVEL = 0.95  # confidence level of each interval by itself
REFERENCE = "full"  # the method that the others try to match


@dataclass(frozen=True)
class FamilyWithVariances:
    """Family of tests with the variances that a power analysis needs.

    Attributes:
        family: the tests.
        components: label of a row -> variance components of its difference from the reference, if they are known.
    """

    family: Family
    components: dict[str, VarianceComponents]


def with_hypothesis_tests(
    tables: Sequence[Table], reference: str | None = None, allow: Collection[str] = ()
) -> tuple[Table, ...]:
    """Return the tables with their tests.

    Args:
        tables: tables without tests.
        reference: method or label of the reference row; None: see `reference_row`.
        allow: differences that do not prevent a test; see `refusals`.

    Raises:
        UserError: no table has the reference row.
    """
    tested_tables = families_of_tables(tables, reference, allow)
    return tuple(
        replace(table, family=tested.family) if tested else table
        for table, tested in zip(tables, tested_tables, strict=True)
    )


def families_of_tables(
    tables: Sequence[Table], reference: str | None = None, allow: Collection[str] = ()
) -> list[FamilyWithVariances | None]:
    """Return the tests of each table; None if there is nothing to test. See `with_hypothesis_tests`."""
    if reference is not None:
        names = list(dict.fromkeys(name for table in tables for row in table.rows for name in (row.method, row.label)))
        if reference not in names:
            raise UserError(f"No row of the comparison is called {reference}: {did_you_mean(reference, names)}.")
    return [_test_table(table, reference, allow) for table in tables]


def family_of_rows(
    table: Table, rows: Sequence[Configuration], reference: str, allow: Collection[str] = ()
) -> Family | None:
    """Return the tests of some rows of a table against one of them; None if there is nothing to test."""
    tested = _test_table(replace(table, rows=tuple(rows)), reference, allow)
    return tested.family if tested else None


def reference_row(table: Table, reference: str | None = None) -> Configuration:
    """Return the row that the others are compared with.

    This is the row with the given label or method, or else with the method `full`, or else with the method that is
    first by name. Of several rows of one method the first by label is taken: the choice must not depend on the results.
    """
    rows = sorted(table.rows, key=lambda row: (row.method, row.label))
    for name in (reference, REFERENCE):
        for named in ([row for row in rows if row.label == name], [row for row in rows if row.method == name]):
            if named:
                return named[0]
    return rows[0]


def _test_table(table: Table, requested: str | None, allow: Collection[str]) -> FamilyWithVariances | None:
    if len(table.rows) < 2 or not table.columns:
        return None
    column, reference = table.columns[0], reference_row(table, requested)
    notes: list[str] = []
    refused = refusals(table.rows, reference, allow)
    if requested is not None and requested not in (reference.method, reference.label):
        notes.append(f"{requested} has no completed run here: {reference.label} is the reference.")
    problems: dict[str, list[str]] = defaultdict(list)
    reference_values = _measure_row(reference, column.metric, problems)
    intervals: dict[str, Interval] = {}
    contrasts: list[Contrast] = []
    components: dict[str, VarianceComponents] = {}
    for row in table.rows:
        row_values = reference_values if row is reference else _measure_row(row, column.metric, problems)
        interval = _interval(row_values)
        if interval is not None:
            intervals[row.label] = interval
        if row is reference or not row_values.values or not reference_values.values:
            continue
        if row.label in refused:
            reasons = "; ".join(refusal.reason for refusal in refused[row.label])
            contrasts.append(untested_contrast(row_values, reference_values, f"not comparable: {reasons}"))
            continue
        contrast, variances = contrast_with_reference(row_values, reference_values, alpha=ALPHA, level=LEVEL)
        contrasts.append(contrast)
        if variances is not None:
            components[row.label] = variances
    contrasts = holm(contrasts)
    for problem, labels in problems.items():
        names = list(dict.fromkeys(labels))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        notes.append(f"No test on examples of {', '.join(names[:3])}{more}: {problem}.")
    notes += [
        f"{label} is not tested against {reference.label}, for they are not comparable: "
        f"{'; '.join(refusal.reason for refusal in refusals_of_row)}. To test it all the same: "
        f"--allow {','.join(dict.fromkeys(refusal.word for refusal in refusals_of_row))}."
        for label, refusals_of_row in refused.items()
    ]
    if not reference_values.values:
        notes.append(f"Nothing is tested: {reference.label} has no {column.label}.")
    if any(c.scope == "trained models" and c.p is not None for c in contrasts):
        notes.append(
            "With one seed a test speaks of these trained models alone; another seed may turn it round. "
            "For a statement about methods give each at least 3 seeds."
        )
    letters = group_letters(reference.label, contrasts, ALPHA, higher_is_better=column.higher_is_better)
    family = Family(reference.label, column, ALPHA, tuple(contrasts), intervals, letters, tuple(notes))
    return FamilyWithVariances(family, components)


def holm(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return the contrasts with p values adjusted for the number of tests (Holm, 1979).

    A p value that is not a number is no test: statsmodels would adjust the others by it.
    """
    from statsmodels.stats.multitest import multipletests

    contrasts = [c if c.p is None or math.isfinite(c.p) else replace(c, p=None) for c in contrasts]
    p_values = [c.p for c in contrasts if c.p is not None]
    gc.freeze()  # multipletests collects garbage at each call, which is slow when many records are loaded
    try:
        adjusted = iter(multipletests(p_values, method="holm")[1] if p_values else [])
    finally:
        gc.unfreeze()
    return [c if c.p is None else replace(c, adjusted=float(next(adjusted))) for c in contrasts]


def group_letters(
    reference: str, contrasts: Sequence[Contrast], alpha: float, *, higher_is_better: bool
) -> dict[str, str]:
    """Return a group letter for each row, from the contrasts with the reference alone.

    `a`: the reference and the rows that do not differ significantly from it; `b`: rows that are significantly better;
    `c`: rows that are significantly worse. Rows that could not be tested have no letter. Rows with the same letter were
    not tested against each other, except against the reference.
    """
    letters = {reference: "a"}
    for c in contrasts:
        if c.adjusted is not None:
            better = (c.difference > 0) == higher_is_better
            letters[c.row] = ("b" if better else "c") if c.is_significant(alpha) else "a"
    return letters


def _measure_row(row: Configuration, metric: str, problems: dict[str, list[str]]) -> RowMeasurements:
    """Read a row's metric and predictions; add the reasons why predictions cannot be used to `problems`."""
    values = {run.record.seed: value for run in row.runs if (value := run.test(metric)) is not None}
    predictions: dict[int, ExamplePredictions] = {}
    for run in row.runs:
        if run.record.seed in values:
            try:
                predictions[run.record.seed] = read_predictions(run, metric)
            except UnusablePredictions as error:
                problems[str(error)].append(row.label)
    return RowMeasurements(row.label, metric, values, predictions)


def _interval(row: RowMeasurements) -> Interval | None:
    """Return the interval of a row's mean: over seeds if there are several, else over examples."""
    mean = estimate(list(row.values.values()))
    if mean is None:
        return None
    if mean.sd is not None:
        half = t_quantile(1 - LEVEL, mean.n - 1) * mean.sd / mean.n**0.5
        return Interval(mean.mean - half, mean.mean + half, LEVEL, f"t over {mean.n} seeds")
    predictions = next(iter(row.predictions.values()), None)
    return example_interval(predictions.contributions, LEVEL) if predictions else None
