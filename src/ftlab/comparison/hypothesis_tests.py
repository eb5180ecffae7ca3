"""Family of hypothesis tests of a table: every row against one reference, on the first headline metric."""

import gc
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ftlab.comparison.comparability import Refusal, refusals
from ftlab.comparison.contrasts import contrast_with_reference, p_value_of_pair, untested_contrast
from ftlab.comparison.declared import (
    AS_DECLARED,
    Decision,
    MarginText,
    declared_decision,
    margin_value,
    several_declarations,
)
from ftlab.comparison.formats import name_some, printable
from ftlab.comparison.margins import MarginTests
from ftlab.comparison.pairs import RowMeasurements
from ftlab.comparison.predictions import ExamplePredictions, UnusablePredictions, read_predictions
from ftlab.comparison.stats.inference import Contrast, Family, Interval, MarginStatements
from ftlab.comparison.stats.metric_range import metric_range
from ftlab.comparison.stats.one_seed import example_interval
from ftlab.comparison.stats.pooled_variance import PooledVariances
from ftlab.comparison.stats.row_interval import seeds_and_examples_interval, seeds_only_interval
from ftlab.comparison.stats.variance import ROUNDING_ERROR, VarianceComponents
from ftlab.comparison.tables import Configuration, Table
from ftlab.core.errors import UserError, did_you_mean
from ftlab.record import MetricColumn

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
    tables: Sequence[Table], decision: Decision = AS_DECLARED, allow: Collection[str] = ()
) -> tuple[Table, ...]:
    """Return the tables with their tests.

    Args:
        tables: tables without tests.
        decision: reference and margin that were asked for; what is None is as the sweep declared it.
        allow: differences that do not prevent a test; see `refusals`.

    Raises:
        UserError: no table has the reference row, or the margin is not possible for a table's metric.
    """
    tested_tables = families_of_tables(tables, decision, allow)
    return tuple(
        replace(table, family=tested.family) if tested else table
        for table, tested in zip(tables, tested_tables, strict=True)
    )


def families_of_tables(
    tables: Sequence[Table], decision: Decision = AS_DECLARED, allow: Collection[str] = ()
) -> list[FamilyWithVariances | None]:
    """Return the tests of each table; None if there is nothing to test. See `with_hypothesis_tests`."""
    if decision.reference is not None:
        names = list(dict.fromkeys(name for table in tables for row in table.rows for name in (row.method, row.label)))
        if decision.reference not in names:
            wrong = decision.reference
            raise UserError(f"No row of the comparison is called {wrong}: {did_you_mean(wrong, names)}.")
    return [_test_table(table, decision, allow) for table in tables]


def family_of_rows(
    table: Table, rows: Sequence[Configuration], margin: MarginText, allow: Collection[str] = ()
) -> Family | None:
    """Return the tests of some rows of a table, within a margin against the best; None if there is nothing to test."""
    tested = _test_table(replace(table, rows=tuple(rows)), Decision(margin=margin), allow, against_best=True)
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


def _test_table(
    table: Table, requested: Decision, allow: Collection[str], *, against_best: bool = False
) -> FamilyWithVariances | None:
    if len(table.rows) < 2 or not table.columns:
        return None
    column, declared = table.columns[0], declared_decision(table)
    wanted = declared.reference if requested.reference is None else requested.reference
    reference, notes = reference_row(table, wanted), several_declarations(table)
    reference_declared = reference is reference_row(table, declared.reference)
    if wanted is not None and wanted not in (reference.method, reference.label):
        notes.append(f"{printable(str(wanted))} has no completed run here: {reference.label} is the reference.")
    asked = requested.margin is not None
    declared_margin = _possible_margin(declared.margin, column.metric, [] if asked else notes)
    margin = _possible_margin(requested.margin, column.metric, notes) if asked else declared_margin
    problems: dict[str, list[str]] = defaultdict(list)
    measured = [measure_row(row, column.metric, problems) for row in table.rows]
    notes += [
        f"No test on examples of {name_some(list(dict.fromkeys(labels)))}: {problem}."
        for problem, labels in problems.items()
    ]
    refused = refusals(table.rows, reference, allow)
    labels_by_refusals: dict[tuple[Refusal, ...], list[str]] = defaultdict(list)  # many rows may differ alike
    for label, refusals_of_row in refused.items():
        labels_by_refusals[refusals_of_row].append(label)
    notes += [
        f"{name_some(labels)} {'is' if len(labels) == 1 else 'are'} not tested against {reference.label}, "
        f"for they are not comparable: {'; '.join(refusal.reason for refusal in refusals_of_rows)}. To test "
        f"{'it' if len(labels) == 1 else 'them'} all the same: "
        f"--allow {','.join(dict.fromkeys(refusal.word for refusal in refusals_of_rows))}."
        for refusals_of_rows, labels in labels_by_refusals.items()
    ]
    return family_of_measurements(
        measured,
        column,
        reference.label,
        declared=reference_declared,
        margin=margin,
        margin_declared=margin == declared_margin,
        margin_against_reference=reference_declared
        and declared.reference in (reference.method, reference.label)
        and not against_best,
        not_comparable={
            label: f"not comparable: {'; '.join(refusal.reason for refusal in refusals_of_row)}"
            for label, refusals_of_row in refused.items()
        },
        notes=notes,
    )


def _possible_margin(margin: MarginText, metric: str, notes: list[str]) -> float | None:
    """Return a margin in the metric's unit; None, and a note, if it is not possible for this metric."""
    try:
        return margin_value(margin, metric)
    except UserError as error:  # it was meant for another table's metric: this table is shown all the same
        notes.append(f"No statement within a margin: {error}")
        return None


def family_of_measurements(
    rows: Sequence[RowMeasurements],
    column: MetricColumn,
    reference: str,
    *,
    declared: bool = True,
    margin: float | None = None,
    margin_declared: bool = True,
    margin_against_reference: bool = False,
    not_comparable: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> FamilyWithVariances:
    """Return the tests of some rows of which one is the reference.

    Args:
        rows: measurements of the rows, in the table's order.
        column: their metric.
        reference: label of the reference row.
        declared: whether the reference was chosen before results were known; otherwise all pairs of rows count as
            tests, because any row could have been chosen.
        margin: in the metric's unit, above 0; None: no statement within a margin.
        margin_declared: whether the margin was chosen before results were known.
        margin_against_reference: whether rows are compared with the reference within the margin, not with the best row.
        not_comparable: label of a row -> why it must not be tested.
        notes: sentences that come before those of the tests.
    """
    refused, notes = not_comparable or {}, list(notes)
    with_value = [row for row in rows if row.values]
    comparable = [row for row in with_value if row.row not in refused]
    pool = PooledVariances({row.row: row.values for row in comparable})
    intervals = {row.row: interval for row in rows if (interval := _interval(row, pool)) is not None}
    reference_values = next(row for row in rows if row.row == reference)
    contrasts: list[Contrast] = []
    components: dict[str, VarianceComponents] = {}
    num_pairs = len(comparable) * (len(comparable) - 1) // 2
    num_tests = max(1, len(comparable) - 1 if declared else num_pairs)
    for row in with_value if reference_values.values else []:
        if row is reference_values:
            continue
        if row.row in refused:
            contrasts.append(untested_contrast(row, reference_values, refused[row.row]))
            continue
        contrast, variances = contrast_with_reference(row, reference_values, pool, alpha=ALPHA / num_tests, level=LEVEL)
        contrasts.append(contrast)
        if variances is not None:
            components[row.row] = variances
    others = [] if declared else _p_values_of_others(comparable, reference, pool)
    contrasts = holm(contrasts, others)
    if not reference_values.values:
        notes.append(f"Nothing is tested against {reference}, which has no {column.label}.")
    elif not declared and num_pairs > 1:
        notes.append(
            f"{reference} was chosen as the reference afterwards, so p values are corrected for all {num_pairs} pairs "
            f"of rows; to declare it before the first run: compare.reference={reference.split(maxsplit=1)[0]}."
        )
    if any(c.scope == "trained models" and c.p is not None for c in contrasts):
        notes.append(
            "With one seed a test speaks of these trained models alone; another seed may turn it round. "
            "For a statement about methods give each at least 3 seeds."
        )
    within_margin = None
    if margin is not None and len(comparable) > 1:
        tests = MarginTests(comparable, pool, higher_is_better=column.higher_is_better, margin=margin)
        against = margin_against_reference and bool(reference_values.values)
        statements = tests.against(reference_values, ALPHA) if against else tests.against_best(ALPHA)
        within_margin = MarginStatements(margin, reference if against else None, margin_declared, tuple(statements))
    tested = sum(contrast.p is not None for contrast in contrasts) + len(others)
    family = Family(reference, column, ALPHA, tuple(contrasts), intervals, tuple(notes), within_margin, tested)
    return FamilyWithVariances(family, components)


def _p_values_of_others(rows: Sequence[RowMeasurements], reference: str, pool: PooledVariances) -> list[float]:
    """Return the p values of all pairs of rows without the reference."""
    pairs = combinations([row for row in rows if row.row != reference], 2)
    p_values = (p_value_of_pair(first, second, pool) for first, second in pairs)
    return [p for p in p_values if p is not None and math.isfinite(p)]


def holm(contrasts: Sequence[Contrast], other_p_values: Sequence[float] = ()) -> list[Contrast]:
    """Return the contrasts with p values adjusted for the number of tests (Holm, 1979).

    A p value that is not a number is no test: statsmodels would adjust the others by it.

    Args:
        contrasts: the contrasts.
        other_p_values: of tests that count too but are not shown.
    """
    from statsmodels.stats.multitest import multipletests

    contrasts = [c if c.p is None or math.isfinite(c.p) else replace(c, p=None) for c in contrasts]
    p_values = [*(c.p for c in contrasts if c.p is not None), *other_p_values]
    gc.freeze()  # multipletests collects garbage at each call, which is slow when many records are loaded
    try:
        adjusted = iter(multipletests(p_values, method="holm")[1] if p_values else [])
    finally:
        gc.unfreeze()
    return [c if c.p is None else replace(c, adjusted=float(next(adjusted))) for c in contrasts]


def measure_row(row: Configuration, metric: str, problems: dict[str, list[str]]) -> RowMeasurements:
    """Read a row's metric and predictions; add the reasons why predictions cannot be used to `problems`."""
    values = {run.record.seed: value for run in row.runs if (value := run.test(metric)) is not None}
    predictions: dict[int, ExamplePredictions] = {}
    for run in row.runs:
        if run.record.seed in values:
            try:
                predictions[run.record.seed] = read_predictions(run, metric)
            except UnusablePredictions as error:
                problems[str(error)].append(row.label)
    hashes = frozenset(run.record.data.hash for run in row.runs if run.record.data)
    return RowMeasurements(row.label, metric, values, predictions, hashes)


def _interval(row: RowMeasurements, pool: PooledVariances) -> Interval | None:
    """Return the interval of a row's expected metric over seeds and examples, or over those of the two that are known.

    With one seed it is over examples alone, and without predictions over seeds alone.
    """
    seeds, bounds = sorted(row.values), metric_range(row.metric)
    contributions = row.contributions(seeds)
    if len(seeds) > 1:
        prior = pool.prior_of_row(row.row, len(seeds))
        if contributions is not None:
            return seeds_and_examples_interval(contributions, prior, LEVEL, bounds)
        values = np.array([row.values[seed] for seed in seeds])
        # of seeds that do not scatter, as of a method that never trains, the interval would have no width
        return seeds_only_interval(values, prior, LEVEL, bounds) if np.ptp(values) > ROUNDING_ERROR else None
    return example_interval(contributions[0], LEVEL) if contributions is not None else None
