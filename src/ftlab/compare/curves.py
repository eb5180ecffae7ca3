"""Learning curves, read from the metrics.csv that Lightning's CSVLogger leaves in a run's folder."""

import csv
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from ftlab.record.folder import CURVES

SECONDS = "cost/train_s"  # column of cumulative training seconds


@dataclass(frozen=True)
class Curve:
    """One logged quantity over training."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    seconds: tuple[float, ...] | None  # training seconds at each step; None where they were not logged


def read_curves(folder: Path, names: Sequence[str], most: int) -> dict[str, Curve]:
    """Return the curves of these names that the run logged; none where the file is missing or empty.

    Args:
        folder: the run's folder.
        names: columns, such as `val/loss`.
        most: points per curve; a longer one is thinned evenly, its ends kept.
    """
    points: dict[str, list[tuple[int, float]]] = {name: [] for name in (*names, SECONDS)}
    try:
        with (folder / CURVES).open(encoding="utf-8", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            place = {name: index for index, name in enumerate(next(reader, []))}
            wanted = [(place[name], found) for name, found in points.items() if name in place]
            for row in reader if "step" in place else ():
                step = _number(row, place["step"])
                if step is None:  # a line cut short when the run died
                    continue
                for index, found in wanted:
                    if (value := _number(row, index)) is not None:
                        found.append((int(step), value))
    except (FileNotFoundError, csv.Error):
        return {}
    clock = points.pop(SECONDS)
    return {name: _curve(found, clock, most) for name, found in points.items() if found}


def _number(row: Sequence[str], index: int) -> float | None:
    if index >= len(row) or not row[index]:
        return None
    try:
        value = float(row[index])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _curve(points: list[tuple[int, float]], clock: list[tuple[int, float]], most: int) -> Curve:
    points = sorted(points)
    if len(points) > most:
        last = len(points) - 1
        points = [points[round(index * last / (most - 1))] for index in range(most)]
    steps = tuple(step for step, _ in points)
    seconds = _at(steps, sorted(clock)) if len(clock) > 1 else None
    return Curve(steps, tuple(value for _, value in points), seconds)


def _at(steps: Sequence[int], clock: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """Read the clock at these steps: straight lines between what was logged, the nearest reading outside."""
    known = [step for step, _ in clock]
    seconds = []
    for step in steps:
        right = bisect_left(known, step)
        if right in (0, len(known)):
            seconds.append(clock[min(right, len(known) - 1)][1])
            continue
        (step_0, s_0), (step_1, s_1) = clock[right - 1], clock[right]
        seconds.append(s_0 + (s_1 - s_0) * (step - step_0) / (step_1 - step_0))
    return tuple(seconds)
