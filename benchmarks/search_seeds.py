"""Simulated error rates after a learning-rate search: trials with seeds of the runs, with their own, and per seed.

Two equal methods each try four rates whose true accuracies are known, and run with the best on validation. Printed for
each way of searching: how often the test calls the two methods different, how often its interval misses the true
difference at the rates that were chosen, and how far the first seed is above the others. docs/tuning.md shows them.
"""

import argparse
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import norm

from ftlab.comparison.stats.layout import paired_difference
from ftlab.comparison.stats.variance import Array

ALPHA = 0.05
WAYS = ("shared", "own", "per_seed")  # seeds of the trials: the first of the runs; others; others for each of the runs
RATES = {"equal": (0, 0, 0, 0), "near": (-2, -0.5, 0, -0.7), "far": (-3, -1, 0, -4)}  # points below the best
_ACCURACY, _RUN_SD = 0.9, 1.0  # of the best rate; standard deviation of a run, in points of accuracy
_HARD, _WAVER = sqrt(0.85), sqrt(0.15)  # shares of the latent variance: of an example, and of a run on it
_TEST, _VALIDATION = 445, 200  # examples


@dataclass(frozen=True)
class ErrorRates:
    """Results of many simulated sweeps.

    Attributes:
        different: share in which two equal methods that were searched alike are called different.
        missed: share in which the interval misses the true difference at the rates chosen.
        first_seed: mean of the first seed above the others, in points of accuracy.
        draws: number of sweeps.
    """

    different: float
    missed: float
    first_seed: float
    draws: int

    def __str__(self) -> str:
        different, missed = (f"{rate:.1%} ± {self.error(rate):.1%}" for rate in (self.different, self.missed))
        return f"different {different}; true difference missed {missed}; first seed {self.first_seed:+.2f} points"

    def error(self, rate: float) -> float:
        """Return the Monte-Carlo standard error of a rate."""
        return sqrt(rate * (1 - rate) / self.draws)


@dataclass(frozen=True)
class _Method:
    """A method whose run with a rate and a seed is the same each time: in the search, and after it."""

    levels: Array  # latent, (rates,)
    runs: Array  # effect of each run, (rates, seeds)

    def answers(self, rng: np.random.Generator, rate: int, seed: int, hard: Array) -> Array:
        """Return right (1) and wrong (0) answers on examples of this difficulty, (examples,)."""
        noise = rng.normal(0, _WAVER, len(hard))
        return (self.levels[rate] + self.runs[rate, seed] + hard + noise > 0).astype(np.float64)


def error_rates(way: str, rates: tuple[float, ...], seeds: int, draws: int, seed: int = 0) -> ErrorRates:
    """Simulate sweeps of two equal methods.

    Args:
        way: of `WAYS`.
        rates: true accuracy with each rate, in points below the best.
        seeds: of each method.
        draws: number of sweeps.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    best_level = norm.ppf(_ACCURACY)
    point = 0.01 / norm.pdf(best_level)  # of accuracy, on the latent scale
    levels = best_level + point * np.array(rates, dtype=float)
    trial_seeds = {"shared": [0] * seeds, "own": [seeds] * seeds, "per_seed": [seeds + run for run in range(seeds)]}[
        way
    ]
    different = missed = 0
    first_seed = []
    for _ in range(draws):
        test_rows, validation_rows = (rng.normal(0, _HARD, size) for size in (_TEST, _VALIDATION))
        answers, expected = [], []
        for _ in range(2):
            method = _Method(levels, rng.normal(0, _RUN_SD * point, (len(rates), 2 * seeds)))
            chosen = {
                trial: int(
                    np.argmax([method.answers(rng, rate, trial, validation_rows).mean() for rate in range(len(rates))])
                )
                for trial in dict.fromkeys(trial_seeds)
            }
            answers.append(
                np.stack([method.answers(rng, chosen[trial], run, test_rows) for run, trial in enumerate(trial_seeds)])
            )
            expected.append(np.mean([_expected(levels[chosen[trial]], point) for trial in trial_seeds]))
            first_seed.append(answers[-1][0].mean() - answers[-1][1:].mean())
        estimate, _ = paired_difference(answers[0] - answers[1])
        half_width = estimate.half_width(ALPHA)
        different += abs(estimate.difference) > half_width
        missed += abs(estimate.difference - (expected[0] - expected[1])) > half_width
    return ErrorRates(different / draws, missed / draws, 100 * float(np.mean(first_seed)), draws)


def _expected(level: float, point: float) -> float:
    """Return the expected accuracy over runs and examples; the variance of examples and wavering is one."""
    return float(norm.cdf(level / sqrt(1 + (_RUN_SD * point) ** 2)))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    for name, rates in RATES.items():
        for seeds in (3, 5, 10):
            for way in WAYS:
                print(
                    f"rates {name} {rates}, {seeds} seeds, {way}: {error_rates(way, rates, seeds, draws)}", flush=True
                )


if __name__ == "__main__":
    main()
