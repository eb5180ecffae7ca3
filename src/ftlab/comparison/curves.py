"""Learning curves, read from the metrics.csv that Lightning's CSVLogger writes to a run's folder."""

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
    """Curve of one logged quantity over training."""

    steps: tuple[int, ...]
    values: tuple[float, ...]
    seconds: tuple[float, ...] | None  # training seconds at each step; None if they were not logged


def read_curves(folder: Path, names: Sequence[str], max_points: int) -> dict[str, Curve]:
    """Return the curves with these names that the run logged; empty if the file is missing or empty.

    Args:
        folder: the run's folder.
        names: columns, such as `val/loss`.
        max_points: points per curve; a longer curve is thinned evenly and keeps its ends.
    """
    points: dict[str, list[tuple[int, float]]] = {name: [] for name in (*names, SECONDS)}
    try:
        with (folder / CURVES).open(encoding="utf-8", errors="replace", newline="") as stream:
            reader = csv.reader(stream)
            column = {name: index for index, name in enumerate(next(reader, []))}
            targets = [(column[name], curve) for name, curve in points.items() if name in column]
            for row in reader if "step" in column else ():
                step = _number(row, column["step"])
                if step is None:  # a line cut short when the run died
                    continue
                for index, curve in targets:
                    if (value := _number(row, index)) is not None:
                        curve.append((int(step), value))
    except (FileNotFoundError, csv.Error):
        return {}
    clock = points.pop(SECONDS)
    return {name: _build_curve(curve, clock, max_points) for name, curve in points.items() if curve}


def _number(row: Sequence[str], index: int) -> float | None:
    if index >= len(row) or not row[index]:
        return None
    try:
        value = float(row[index])
    except ValueError:
        return None
    return value if isfinite(value) else None


def _build_curve(points: list[tuple[int, float]], clock: list[tuple[int, float]], max_points: int) -> Curve:
    points = sorted(points)
    if len(points) > max_points:
        last = len(points) - 1
        points = [points[round(index * last / (max_points - 1))] for index in range(max_points)]
    steps = tuple(step for step, _ in points)
    seconds = _interpolate(steps, sorted(clock)) if len(clock) > 1 else None
    return Curve(steps, tuple(value for _, value in points), seconds)


def _interpolate(steps: Sequence[int], clock: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """Return the seconds at these steps: interpolated linearly, and the nearest logged value outside."""
    logged_steps = [step for step, _ in clock]
    seconds = []
    for step in steps:
        right = bisect_left(logged_steps, step)
        if right in (0, len(logged_steps)):
            seconds.append(clock[min(right, len(logged_steps) - 1)][1])
            continue
        (step_0, s_0), (step_1, s_1) = clock[right - 1], clock[right]
        seconds.append(s_0 + (s_1 - s_0) * (step - step_0) / (step_1 - step_0))
    return tuple(seconds)
