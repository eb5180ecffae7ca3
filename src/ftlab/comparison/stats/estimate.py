"""Mean and sample standard deviation over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Estimate:
    """Mean and standard deviation of one quantity over the seeds of a configuration.

    Attributes:
        mean: arithmetic mean of the available values.
        sd: sample standard deviation (divisor n - 1); None for a single value.
        n: number of values.
        of: number of runs; more than `n` if some have no value.
    """

    mean: float
    sd: float | None
    n: int
    of: int


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Return mean and standard deviation of the values that are not None; None if there is no value."""
    present = [float(value) for value in values if value is not None]
    if not present:
        return None
    return Estimate(fmean(present), stdev(present) if len(present) > 1 else None, len(present), len(values))
