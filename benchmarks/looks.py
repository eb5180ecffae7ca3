"""Simulated error rates of a test at each look: two equal methods, tested again after every further seed.

docs/statistics.md shows what `python benchmarks/looks.py` prints.
"""

import argparse
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ftlab.comparison.stats.layout import paired_difference

ALPHA = 0.05
BoolArray = NDArray[np.bool_]
_EXAMPLES, _LEVEL = 1000, 1.28  # the level is an accuracy of 0.9
_RUN_SD = 0.06  # of whole runs, on the latent scale: a point of accuracy


def differences_at_looks(last_look: int, draws: int, seed: int = 0) -> BoolArray:
    """Return whether the test calls two equal methods different, (sweeps, looks); the first look is at two seeds.

    Args:
        last_look: largest number of seeds of each method.
        draws: number of sweeps.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    different = np.zeros((draws, last_look - 1), dtype=bool)
    for sweep in range(draws):
        hard = _LEVEL + rng.normal(0, sqrt(0.85), _EXAMPLES)
        runs = rng.normal(0, _RUN_SD, (2, last_look, 1))
        hits = (hard + runs + rng.normal(0, sqrt(0.15), (2, last_look, _EXAMPLES)) > 0).astype(np.float64)
        for look in range(last_look - 1):
            estimate, _ = paired_difference((hits[0] - hits[1])[: look + 2])
            different[sweep, look] = abs(estimate.difference) > estimate.half_width(ALPHA)
    return different


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    different = differences_at_looks(20, draws)
    for last_look in (5, 10, 20):
        rates = different[:, last_look - 2].mean(), different[:, : last_look - 1].any(1).mean()
        alone, any_look = (f"{rate:.1%} ± {sqrt(rate * (1 - rate) / draws):.1%}" for rate in rates)
        print(f"{last_look} seeds: {alone}; at one of the looks at 2 to {last_look} seeds: {any_look}")


if __name__ == "__main__":
    main()
