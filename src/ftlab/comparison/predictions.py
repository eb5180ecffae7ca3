"""Reader of a run's predictions.parquet, a file that anyone may have written, for the tests on examples."""

import json
from collections.abc import Sequence
from functools import cached_property, reduce
from itertools import chain
from math import isclose

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ftlab.comparison.stats.constant_answer import best_constant, has_best_constant
from ftlab.comparison.stats.contributions import contributions, has_own_column, metric_ratios, required_columns
from ftlab.comparison.stats.metric_ratios import MetricRatios
from ftlab.comparison.stats.variance import Array
from ftlab.comparison.tables import ComparedRun
from ftlab.core.errors import reason
from ftlab.record import PredictionType
from ftlab.record.folder import PREDICTIONS

_MIN_COMMON = 0.95  # fraction of the examples that runs must have in common to be paired
_TOLERANCE = 1e-3  # of a metric: runs compute in float32


class UnusablePredictions(Exception):
    """A run's predictions cannot be used; the message says why."""


class ExamplePredictions:
    """Test examples of one run and their contributions to one metric.

    Attributes:
        ids: example ids, (examples,), each once.
    """

    def __init__(self, metric: str, predicts: PredictionType, ids: np.ndarray, table: pa.Table) -> None:
        """Keep the ids and the columns that the metric needs."""
        self.ids = ids
        self._metric, self._predicts, self._table = metric, predicts, table

    @cached_property
    def contributions(self) -> Array:
        """Return the contribution of each example to the metric, (examples,)."""
        return contributions(self._metric, self._predicts, self._table)

    def contributions_of(self, ids: np.ndarray) -> Array:
        """Return the contributions of these examples to the metric over them alone, in the order of `ids`."""
        if np.array_equal(self.ids, ids):
            return self.contributions
        return contributions(self._metric, self._predicts, self._rows(ids))

    def ratios_of(self, ids: np.ndarray) -> MetricRatios:
        """Return the ratios of the metric over these examples alone, in the order of `ids`."""
        return metric_ratios(self._metric, self._predicts, self._rows(ids))

    def _rows(self, ids: np.ndarray) -> pa.Table:
        order = np.argsort(self.ids)
        return self._table.take(pa.array(order[np.searchsorted(self.ids, ids, sorter=order)]))

    def best_constant(self) -> tuple[str, float] | None:
        """Return the best constant answer to these examples and its metric; None if the metric has none."""
        if "label" not in self._table.column_names:
            return None
        return best_constant(self._metric, self._predicts, self._table["label"])


def read_best_constant(run: ComparedRun, metric: str) -> tuple[str, float] | None:
    """Return the best constant answer to the test examples of a run and its metric; None if the metric has none.

    Raises:
        UnusablePredictions: see `read_predictions`.
    """
    if not has_best_constant(*_name_and_type(run, metric)[1:]):
        return None
    try:
        return read_predictions(run, metric).best_constant()
    except ValueError as error:
        raise UnusablePredictions(reason(error)) from error


def _name_and_type(run: ComparedRun, metric: str) -> tuple[str, str, PredictionType]:
    """Return the task, the metric's own name and the type of its predictions; a mixture has them for each part."""
    part, slash, part_metric = metric.partition("/")
    if slash and run.record.data and part in run.record.data.parts:  # a mixture names the part in the column `task`
        return part, part_metric, run.record.data.parts[part].predicts
    return run.record.task, metric, run.record.predicts


def read_predictions(run: ComparedRun, metric: str) -> ExamplePredictions:
    """Read the predictions of a run that one metric needs.

    Raises:
        UnusablePredictions: the file is missing, broken, lacks columns, or its metric differs from the record's.
    """
    path = run.folder / PREDICTIONS
    if not path.is_file():
        raise UnusablePredictions(f"there is no {PREDICTIONS}")
    task, name, predicts = _name_and_type(run, metric)
    try:
        with pq.ParquetFile(path) as file:
            available = file.schema_arrow.names
            if not {"task", "split", "example_id"} <= set(available):
                raise UnusablePredictions(f"{PREDICTIONS} lacks the columns task, split and example_id")
            others = [column for column in available if column != name]
            candidates = [columns for names in (available, others) if (columns := required_columns(name, names))]
            if not candidates:
                raise UnusablePredictions(f"{PREDICTIONS} does not hold what {metric} is made of")
            table = file.read(columns=["task", "split", "example_id", *dict.fromkeys(chain(*candidates))])
        is_test_row = pc.and_(pc.equal(table["task"], task), pc.equal(table["split"], "test"))
        table = table.filter(is_test_row)
        # the column of the metric's name may be that of another part of a mixture
        metric_columns = next((columns for columns in candidates if _has_values(table, columns)), candidates[-1])
        if has_own_column(name, metric_columns):  # not every example has a value, as text is not generated for all
            table = table.filter(pc.is_valid(table[name]))
        ids = np.asarray(table["example_id"].cast(pa.string()).to_pylist(), dtype=str)
        if len(ids) < 2:
            raise UnusablePredictions(f"{PREDICTIONS} has fewer than 2 test examples of {task}")
        if len(np.unique(ids)) < len(ids):
            raise UnusablePredictions(f"{PREDICTIONS} has an example twice")
        if task != run.record.task and predicts != "class":
            table = _parse_json(table, metric_columns)
        predictions = ExamplePredictions(name, predicts, ids, table.select(metric_columns))
        mean = float(predictions.contributions.mean())
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise UnusablePredictions(f"{PREDICTIONS} cannot be read ({reason(error, named=path)})") from error
    recorded = run.test(metric)
    if recorded is None or not isclose(mean, recorded, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
        raise UnusablePredictions(f"{PREDICTIONS} gives {metric} {mean:.4g} and the record says {recorded}")
    return predictions


def _has_values(table: pa.Table, names: Sequence[str]) -> bool:
    return all(table[name].null_count < len(table) for name in names)


def _parse_json(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the table with these columns parsed, which are JSON where parts of several kinds share a column."""
    for name in names:
        if pa.types.is_string(table.schema.field(name).type):
            values = pa.array([json.loads(text) for text in table[name].to_pylist()])
            table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def shared_contributions(runs: Sequence[ExamplePredictions]) -> tuple[Array, np.ndarray]:
    """Return the contributions of the examples that all runs have, (runs, examples), and their ids, (examples,).

    Raises:
        UnusablePredictions: too few are common.
        ValueError: the metric cannot be computed from them.
    """
    ids = common_ids(runs)
    return np.stack([run.contributions_of(ids) for run in runs]), ids


def common_ids(runs: Sequence[ExamplePredictions]) -> np.ndarray:
    """Return the ids of the examples that all runs have.

    Raises:
        UnusablePredictions: too few are common.
    """
    first = runs[0].ids
    if all(np.array_equal(first, other.ids) for other in runs):
        return first
    common: np.ndarray = reduce(np.intersect1d, [predictions.ids for predictions in runs])
    largest = max(len(predictions.ids) for predictions in runs)
    if len(common) < _MIN_COMMON * largest:
        raise UnusablePredictions(f"only {len(common)} of {largest} test examples are the same")
    return common
