"""Runs that a look at a race reads: checked values, and how many runs failed or collapsed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ftlab.comparison.stats.race_state import RaceState
from ftlab.comparison.stats.variance import Array
from ftlab.core.errors import DataError

ROBUST_SDS = 5.0  # so far below the method's other runs a run has collapsed
NORMAL_DISTANCE = 0.9539  # median distance of two normal values, in standard deviations


@dataclass(frozen=True)
class RunCounts:
    """Runs of one method that need a word: how many failed, and how many collapsed."""

    failed: int = 0
    collapsed: int = 0


def checked_runs(state: RaceState, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of the active methods.

    Args:
        state: after the previous look.
        values: method -> contributions, (seeds, examples); a row of NaN is a failed run.

    Raises:
        DataError: they are not those of the next look.
        ConfigError: the race is over.
    """
    seeds = state.next_seeds
    unknown = sorted(values.keys() - set(state.rules.methods))
    if unknown:
        raise DataError(f"{unknown[0]} is not a method of this race: its methods are {', '.join(state.rules.methods)}.")
    arrays: dict[str, Array] = {}
    for name in state.active:
        if name not in values:
            raise DataError(f"the look at {seeds} seeds has no values of {name}, which is still in the race: add them.")
        array = np.asarray(values[name], dtype=np.float64)
        if array.ndim != 2 or array.shape[1] < 2:
            raise DataError(f"the values of {name} are not (seeds, at least 2 examples): their shape is {array.shape}.")
        if len(array) != seeds:
            raise DataError(f"this look is at {seeds} seeds, and {name} has {len(array)}: give the same seeds to all.")
        finite = np.isfinite(array)
        if not (finite.all(1) | np.isnan(array).all(1)).all():
            raise DataError(
                f"a run of {name} has values that are no numbers: use a metric with a value for every example."
            )
        arrays[name] = array
    rows = {array.shape[1]: name for name, array in arrays.items()}
    rows |= {pair.statistics.examples: pair.first for pair in state.pairs if pair.statistics}
    if len(rows) > 1:
        (few, first), (many, second) = sorted(rows.items())[:2]
        raise DataError(f"{first} has {few} examples and {second} has {many}: a race needs the same rows in all runs.")
    return arrays


def count_runs(values: Mapping[str, Array], chance: float | None) -> dict[str, RunCounts]:
    """Return how many runs of each method failed, and how many collapsed.

    A run has collapsed if it is below chance, or far below the median of the method's other runs. The robust standard
    deviation is that of all methods or that of these other runs, if larger: methods differ in it, and two runs may be
    close by chance.

    Args:
        values: method -> contributions, (seeds, examples); a row of NaN is a failed run.
        chance: value of the metric by guessing.
    """
    scores = {name: array.mean(1) for name, array in values.items()}
    sound = {name: array[np.isfinite(array)] for name, array in scores.items()}
    overall = _robust_sd(*sound.values())
    return {
        name: RunCounts(
            failed=len(scores[name]) - len(array),
            collapsed=sum(
                (chance is not None and score < chance) or _is_far_below(score, np.delete(array, position), overall)
                for position, score in enumerate(array)
            ),
        )
        for name, array in sound.items()
    }


def _is_far_below(score: float, others: Array, overall_sd: float) -> bool:
    limit = ROBUST_SDS * max(overall_sd, _robust_sd(others))
    return len(others) > 1 and 0 < limit < float(np.median(others)) - score


def _robust_sd(*groups: Array) -> float:
    """Return the standard deviation within groups by the median distance of two values; 0 without two values."""
    distances = [np.abs(group[:, None] - group)[np.triu_indices(len(group), 1)] for group in groups]
    together = np.concatenate(distances) if distances else np.zeros(0)
    return float(np.median(together)) / NORMAL_DISTANCE if len(together) else 0.0
