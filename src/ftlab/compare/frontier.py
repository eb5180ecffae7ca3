"""Which rows of a table no other row beats on two measures at once (Pareto), and how sure that is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ftlab.compare.comparison import Configuration, Run, Table
from ftlab.compare.stats import estimate

_DRAWS = 1000
_SEED = 0  # of the draws: the same records give the same chances
_NORMAL_95 = 1.96  # half of a 95 % interval, in standard errors


@dataclass(frozen=True)
class Axis:
    """One measure of a run, and which way is better."""

    label: str
    higher_is_better: bool
    read: Callable[[Run], float | None]
    metric: str | None = None  # the test metric's name, where it is one


TIME = Axis("training time", False, lambda run: run.train_s)
MEMORY = Axis("peak memory", False, lambda run: run.peak_memory_bytes)
TRAINABLE = Axis("trainable parameters", False, lambda run: run.trainable)
SIZE = Axis("adapter on disk", False, lambda run: run.adapter_bytes)


@dataclass(frozen=True)
class Place:
    """Where a row stands.

    Attributes:
        row: its label.
        x: mean of the first measure, in base units.
        y: mean of the second.
        front: whether no other row's means are as good on both measures and better on one.
        chance: share of draws in which that is so, where each mean is drawn from what its seeds (or examples) leave
            open; 0 to 1.
    """

    row: str
    x: float
    y: float
    front: bool
    chance: float


def headline(table: Table) -> Axis | None:
    """Return the table's first test metric as a measure; None where its runs name none."""
    if not table.columns:
        return None
    column = table.columns[0]
    name = column.metric
    return Axis(f"test {column.label}", column.higher_is_better, lambda run: run.test(name), name)


def frontier(table: Table, x: Axis, y: Axis) -> tuple[Place, ...]:
    """Place every row that has both measures.

    Means are drawn from t distributions over the seeds; of one seed, a test metric's error is that of its examples and
    a cost is taken as exact. Rows are drawn apart though equal seeds move together, so the chances are cautious.
    """
    places = []
    for row in table.rows:
        first, second = (_mean(table, row, axis) for axis in (x, y))
        if first is not None and second is not None:
            places.append((row.label, first, second))
    if not places:
        return ()
    means = np.array([[first[0], second[0]] for _, first, second in places])
    errors = np.array([[first[1], second[1]] for _, first, second in places])
    freedom = np.array([[first[2], second[2]] for _, first, second in places])
    signs = np.array([1.0 if axis.higher_is_better else -1.0 for axis in (x, y)])
    chances = front_chances(means * signs, errors, freedom)
    front = on_front(means * signs)
    return tuple(
        Place(label, float(pair[0]), float(pair[1]), bool(is_front), float(chance))
        for (label, _, _), pair, is_front, chance in zip(places, means, front, chances, strict=True)
    )


def on_front(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which points no other dominates; more is better.

    Args:
        points: (..., rows, measures).

    Returns:
        (..., rows). Equal points do not dominate each other.
    """
    one, other = points[..., :, None, :], points[..., None, :, :]
    dominated = (other >= one).all(-1) & (other > one).any(-1)
    return np.asarray(~dominated.any(-1))


def front_chances(
    means: NDArray[np.float64], errors: NDArray[np.float64], freedom: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each row the share of draws in which it is on the front.

    Args:
        means: (rows, measures), more is better.
        errors: their standard errors; 0: exact.
        freedom: degrees of freedom of the t distributions; infinite: normal.

    Returns:
        (rows,), 0 to 1.
    """
    generator = np.random.default_rng(_SEED)
    noise = np.empty((_DRAWS, *means.shape))
    for place in np.ndindex(means.shape):
        df = freedom[place]
        noise[:, *place] = generator.standard_normal(_DRAWS) if np.isinf(df) else generator.standard_t(df, _DRAWS)
    hits = np.zeros(len(means))
    for draw in means + errors * noise:  # one at a time: rows × rows of all draws together is too much of 200 rows
        hits += on_front(draw)
    return hits / _DRAWS


def _mean(table: Table, row: Configuration, axis: Axis) -> tuple[float, float, float] | None:
    """Return mean, standard error and degrees of freedom of a row's measure."""
    found = estimate([axis.read(run) for run in row.runs])
    if found is None:
        return None
    if found.sd is not None:
        return found.mean, found.sd / found.n**0.5, found.n - 1.0
    interval = table.family.intervals.get(row.label) if table.family and axis.metric else None
    if interval is None or table.family is None or table.family.column.metric != axis.metric:
        return found.mean, 0.0, np.inf
    return found.mean, (interval.high - interval.low) / (2 * _NORMAL_95), np.inf


def dominating(places: Sequence[Place], row: str, x: Axis, y: Axis) -> tuple[str, ...]:
    """Return the rows whose means are as good as this row's on both measures, and better on one."""

    def towards(place: Place) -> tuple[float, float]:
        return (
            place.x if x.higher_is_better else -place.x,
            place.y if y.higher_is_better else -place.y,
        )

    own = next(towards(place) for place in places if place.row == row)
    others = [(place.row, towards(place)) for place in places if place.row != row]
    return tuple(name for name, at in others if at != own and at[0] >= own[0] and at[1] >= own[1])
