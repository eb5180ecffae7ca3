"""Pareto front of a table's rows in two measures, and the probability of each row being on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftlab.comparison.tables import ComparedRun, Configuration, Table

_DRAWS = 1000
_SEED = 0  # of the draws: the same records give the same probabilities
_NORMAL_95 = 1.96  # half of a 95 % interval, in standard errors


@dataclass(frozen=True)
class Measure:
    """Quantity that is measured for each run, and its better direction."""

    label: str
    higher_is_better: bool
    read: Callable[[ComparedRun], float | None]
    metric: str | None = None  # name of the test metric; None for a cost


TIME = Measure("training time", False, lambda run: run.train_s)
MEMORY = Measure("peak memory", False, lambda run: run.peak_memory_bytes)
TRAINABLE = Measure("trainable parameters", False, lambda run: run.trainable)
SIZE = Measure("adapter on disk", False, lambda run: run.adapter_bytes)


@dataclass(frozen=True)
class FrontierPoint:
    """A row in the plane of two measures.

    Attributes:
        row: label of the row.
        x: mean of the first measure, in base units.
        y: mean of the second.
        on_front: whether no other row has means that are as good on both measures and better on one.
        front_probability: fraction of draws in which it is on the front, each mean being drawn from the distribution
            that its seeds (or examples) give; 0 to 1.
    """

    row: str
    x: float
    y: float
    on_front: bool
    front_probability: float


def headline_metric(table: Table) -> Measure | None:
    """Return the table's first test metric as a measure; None if its runs name no metric."""
    if not table.columns:
        return None
    column = table.columns[0]
    name = column.metric
    return Measure(f"test {column.label}", column.higher_is_better, lambda run: run.test(name), name)


def frontier(table: Table, x: Measure, y: Measure) -> tuple[FrontierPoint, ...]:
    """Return a point for every row that has both measures.

    Means of a cost are drawn from t distributions over the seeds; with one seed it counts as exact. Means of the tested
    metric are drawn with the error of their interval, which is over seeds and examples. Rows are drawn independently
    although equal seeds are correlated, so the probabilities are conservative.
    """
    labels, estimates = [], []
    for row in table.rows:
        first, second = (_mean(table, row, measure) for measure in (x, y))
        if first is not None and second is not None:
            labels.append(row.label)
            estimates.append((first, second))
    if not labels:
        return ()
    means, errors, dfs = np.array(estimates).transpose(2, 0, 1)  # each (rows, measures)
    signs = np.array([1.0 if measure.higher_is_better else -1.0 for measure in (x, y)])
    probabilities = front_probabilities(means * signs, errors, dfs)
    is_on_front = on_front(means * signs)
    return tuple(
        FrontierPoint(label, float(mean[0]), float(mean[1]), bool(on), float(probability))
        for label, mean, on, probability in zip(labels, means, is_on_front, probabilities, strict=True)
    )


def on_front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return for each point whether no other point dominates it; more is better.

    Args:
        points: (..., rows, measures).

    Returns:
        (..., rows). Equal points do not dominate each other.
    """
    point, other = points[..., :, None, :], points[..., None, :, :]
    dominated = (other >= point).all(-1) & (other > point).any(-1)
    return np.asarray(~dominated.any(-1))


def front_probabilities(
    means: NDArray[np.float64], errors: NDArray[np.float64], dfs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each row the fraction of draws in which it is on the front.

    Args:
        means: (rows, measures), more is better.
        errors: their standard errors; 0: exact.
        dfs: degrees of freedom of the t distributions; infinite: normal.

    Returns:
        (rows,), 0 to 1.
    """
    generator = np.random.default_rng(_SEED)
    noise = np.empty((_DRAWS, *means.shape))
    for index in np.ndindex(means.shape):
        df = dfs[index]
        noise[:, *index] = generator.standard_normal(_DRAWS) if np.isinf(df) else generator.standard_t(df, _DRAWS)
    hits = np.zeros(len(means))
    for draw in means + errors * noise:  # not all at once: rows × rows × draws is too much memory for 200 rows
        hits += on_front(draw)
    return hits / _DRAWS


def _mean(table: Table, row: Configuration, measure: Measure) -> tuple[float, float, float] | None:
    """Return mean, standard error and degrees of freedom of a row's measure."""
    value = row.over_seeds(measure.read)
    if value is None:
        return None
    family = table.family
    interval = family.intervals.get(row.label) if family and family.column.metric == measure.metric else None
    if interval is not None:  # over seeds and examples
        return value.mean, (interval.high - interval.low) / (2 * _NORMAL_95), np.inf
    if value.sd is not None:
        return value.mean, value.sd / value.n**0.5, value.n - 1.0
    return value.mean, 0.0, np.inf


def dominating_rows(points: Sequence[FrontierPoint], row: str, x: Measure, y: Measure) -> tuple[str, ...]:
    """Return the rows whose means are as good as this row's on both measures, and better on one."""

    def more_is_better(point: FrontierPoint) -> tuple[float, float]:
        return (
            point.x if x.higher_is_better else -point.x,
            point.y if y.higher_is_better else -point.y,
        )

    this = next(more_is_better(point) for point in points if point.row == row)
    others = [(point.row, more_is_better(point)) for point in points if point.row != row]
    return tuple(name for name, other in others if other != this and other[0] >= this[0] and other[1] >= this[1])
