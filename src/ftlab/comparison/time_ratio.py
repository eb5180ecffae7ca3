"""Ratio of the training times of two rows with its interval over seeds: the times of one sweep vary from day to day.

On the processor it is a ratio of processor times where the records have them, which other work on the machine affects
little; the time on the clock has been seen to give 0.78, 0.92 and 0.61 for one and the same sweep on three days.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log

import numpy as np

from ftlab.comparison.stats.layout import seeds_only_difference
from ftlab.comparison.tables import ComparedRun, Configuration

MIN_SECONDS = 5.0  # of training: what a run does once, such as its first step, is a large part of less


@dataclass(frozen=True)
class TimeRatio:
    """Training time of one row divided by that of another.

    Attributes:
        ratio: geometric mean over the paired seeds.
        low: lower end of its interval, by t over the logarithms.
        high: upper end.
        seeds: number of paired seeds.
        measure: `processor time` or `time on the clock`.
    """

    ratio: float
    low: float
    high: float
    seeds: int
    measure: str

    @property
    def is_different(self) -> bool:
        """Whether the interval excludes equal times."""
        return self.low > 1 or self.high < 1


def time_ratio(row: Configuration, other: Configuration, level: float) -> TimeRatio | None:
    """Return the ratio of the rows' training times.

    Args:
        row: the row in the numerator.
        other: the row in the denominator.
        level: confidence of the interval.

    Returns:
        None with fewer than two common seeds, of which no interval is possible, and if a run trained for less than
        `MIN_SECONDS`, or not at all.
    """
    runs = (*row.runs, *other.runs)
    measure, read = "time on the clock", _wall_seconds
    if all(_processor_seconds(run) is not None for run in runs):
        measure, read = "processor time", _processor_seconds
    first, second = _by_seed(row, read), _by_seed(other, read)
    common = sorted(first.keys() & second.keys())
    shortest = min((seconds for run in runs if (seconds := run.train_s) is not None), default=0.0)
    if len(common) < 2 or shortest < MIN_SECONDS:
        return None
    logarithms = np.array([log(first[seed] / second[seed]) for seed in common])
    half = seeds_only_difference(logarithms).half_width(1 - level)
    middle = float(logarithms.mean())
    return TimeRatio(exp(middle), exp(middle - half), exp(middle + half), len(common), measure)


def _wall_seconds(run: ComparedRun) -> float | None:
    return run.train_s


def _processor_seconds(run: ComparedRun) -> float | None:
    """Return the processor time of training; None if the record lacks it, or an accelerator did the work."""
    cost, hardware = run.record.cost, run.record.hardware
    on_processor = hardware is not None and hardware.accelerator == "cpu"
    return cost.train_cpu_s if cost and on_processor and run.train_s is not None else None


def _by_seed(row: Configuration, read: Callable[[ComparedRun], float | None]) -> dict[int, float]:
    return {run.record.seed: seconds for run in row.runs if (seconds := read(run))}
