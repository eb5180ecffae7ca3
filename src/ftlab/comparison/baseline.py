"""Baseline of a table: what always giving the same answer scores on its test split, from the labels that runs wrote."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import shorten

from ftlab.comparison.formats import printable
from ftlab.comparison.predictions import UnusablePredictions, read_best_constant
from ftlab.comparison.tables import Baseline, Table
from ftlab.record import MetricColumn

_MAX_CHARACTERS = 40  # of an answer


def with_baselines(tables: Sequence[Table]) -> list[Table]:
    """Return the tables with their baselines."""
    return [replace(table, baseline=baseline(table)) for table in tables]


def baseline(table: Table) -> Baseline | None:
    """Return the best constant answer on the first headline metric of which it has a clear meaning.

    One run is read for each set of data that the rows were trained and tested on.

    Returns:
        None if there is no such metric, if no run has labels, or if the rows were tested on different labels.
    """
    return next(filter(None, (_baseline_of(table, column) for column in table.columns)), None)


def _baseline_of(table: Table, column: MetricColumn) -> Baseline | None:
    answers: dict[str, tuple[str, float]] = {}
    for run in (run for row in table.rows for run in row.runs):
        data = run.record.data.hash if run.record.data else ""
        if data not in answers:
            try:
                answer = read_best_constant(run, column.metric)
            except UnusablePredictions:
                continue  # another seed may have its predictions
            if answer is None:
                return None
            answers[data] = answer
    if len(set(answers.values())) != 1:
        return None
    ((text, value),) = set(answers.values())
    return Baseline(shorten(printable(text), _MAX_CHARACTERS, placeholder=" …"), value, column)
