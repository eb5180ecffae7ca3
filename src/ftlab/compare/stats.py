"""Seeds together: mean and sample standard deviation."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Estimate:
    """What the seeds of one configuration say about one quantity.

    Attributes:
        mean: arithmetic mean of the values there are.
        sd: sample standard deviation (divisor n - 1); None for a single value.
        n: number of values.
        of: number of runs asked; more than `n` where some have no value.
    """

    mean: float
    sd: float | None
    n: int
    of: int


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Return mean and spread of the values that are not None; None where there is no value at all."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    return Estimate(fmean(known), stdev(known) if len(known) > 1 else None, len(known), len(values))
