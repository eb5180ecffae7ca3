"""What every test example got from a run, read from its predictions.parquet: a file that anyone may have written."""

import json
from collections.abc import Sequence
from functools import cached_property, reduce
from math import isclose

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftlab.compare.comparison import Run
from ftlab.compare.contributions import WRITTEN, columns, contributions
from ftlab.compare.variance import Array
from ftlab.record.folder import PREDICTIONS

_COMMON = 0.95  # share of the examples that two runs must have in common to be paired
_TOLERANCE = 1e-3  # of a metric: runs compute in 32 bits


class Unusable(Exception):
    """A run's predictions cannot serve; says why in a few words."""


class Answers:
    """One run's test examples, and what each contributes to one metric.

    Attributes:
        ids: example ids, (examples,), each once.
    """

    def __init__(self, metric: str, task: str, ids: np.ndarray, table: pa.Table) -> None:
        """Take the ids and the columns that the metric needs."""
        self.ids = ids
        self._metric, self._task, self._table = metric, task, table

    @cached_property
    def contributions(self) -> Array:
        """Return what each example contributes to the metric, (examples,)."""
        return contributions(self._metric, self._task, self._table)

    def at(self, ids: np.ndarray) -> Array:
        """Return the contributions to the metric of these examples alone, in their order."""
        if np.array_equal(self.ids, ids):
            return self.contributions
        order = np.argsort(self.ids)
        places = order[np.searchsorted(self.ids, ids, sorter=order)]
        return contributions(self._metric, self._task, self._table.take(pa.array(places)))


def read_answers(run: Run, metric: str) -> Answers:
    """Read what one metric needs of a run's predictions.

    Raises:
        Unusable: the file is missing, broken, holds something else, or does not give the metric that the record has.
    """
    path = run.folder / PREDICTIONS
    if not path.is_file():
        raise Unusable(f"there is no {PREDICTIONS}")
    task, kind, name = run.record.task, run.record.task, metric
    part, slash, own = metric.partition("/")
    if slash and run.record.data and part in run.record.data.parts:  # of a mixture, whose rows tell the part
        task, kind, name = part, run.record.data.parts[part].task, own
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if not {"task", "split", "example_id"} <= set(there):
                raise Unusable(f"{PREDICTIONS} lacks the columns task, split and example_id")
            wanted = columns(name, there)
            if wanted is None:
                raise Unusable(f"{PREDICTIONS} does not hold what {metric} is made of")
            table = file.read(columns=["task", "split", "example_id", *wanted])
        asked = pc.and_(pc.equal(table["task"], task), pc.equal(table["split"], "test"))
        table = table.filter(asked)
        if name in WRITTEN:  # the others have nothing there
            table = table.filter(pc.is_valid(table[name]))
        ids = np.asarray(table["example_id"].cast(pa.string()).to_pylist(), dtype=str)
        if len(ids) < 2:
            raise Unusable(f"{PREDICTIONS} has fewer than 2 test examples of {task}")
        if len(np.unique(ids)) < len(ids):
            raise Unusable(f"{PREDICTIONS} has an example twice")
        if kind != task and kind != "classification":
            table = _untold(table, wanted)
        answers = Answers(name, kind, ids, table.select(wanted))
        mean = float(answers.contributions.mean())
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise Unusable(f"{PREDICTIONS} cannot be read ({lines[0][:200]})") from error
    recorded = run.test(metric)
    if recorded is None or not isclose(mean, recorded, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        raise Unusable(f"{PREDICTIONS} gives {metric} {mean:.4g} and the record says {recorded}")
    return answers


def _untold(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    """Return a part's answers as they were before those of several kinds of parts shared a column, as JSON."""
    for name in wanted:
        if pa.types.is_string(table.schema.field(name).type):
            values = pa.array([json.loads(text) for text in table[name].to_pylist()])
            table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def common_ids(of_runs: Sequence[Answers]) -> np.ndarray:
    """Return the ids of the examples that all runs have.

    Raises:
        Unusable: they are few.
    """
    first = of_runs[0].ids
    if all(np.array_equal(first, other.ids) for other in of_runs):
        return first
    found: np.ndarray = reduce(np.intersect1d, [answers.ids for answers in of_runs])
    most = max(len(answers.ids) for answers in of_runs)
    if len(found) < _COMMON * most:
        raise Unusable(f"only {len(found)} of {most} test examples are the same")
    return found
