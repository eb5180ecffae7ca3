"""Simulated error rates of the tests for two equal methods: prints the table of levels in docs/statistics.md."""

import numpy as np
from scipy import stats

from ftlab.comparison.stats.layout import paired_difference, unpaired_difference
from ftlab.comparison.stats.one_seed import mcnemar
from ftlab.comparison.stats.variance import Array, DifferenceEstimate

ALPHA, SEEDS, DRAWS = 0.05, 3, 500


def found(spread: DifferenceEstimate) -> bool:
    """Whether a difference is called one."""
    return abs(spread.difference) > spread.half_width(ALPHA)


def hits(rng: np.random.Generator, difficulty: Array, shift: float) -> Array:
    """Return right and wrong answers of runs that are better or worse throughout, and waver on hard examples."""
    noise = rng.normal(0, 0.5, (SEEDS, len(difficulty)))
    return (difficulty + rng.normal(0, shift, (SEEDS, 1)) + noise > 0).astype(np.float64)


def answers(rng: np.random.Generator) -> None:
    """Print rates for classifiers: `shift` moves whole runs, `taste` lets methods be good at different examples."""
    for examples in (445, 2000):
        for shift in (0.0, 0.15):
            for taste in (0.0, 0.3, 1.0):
                counts = np.zeros(3)
                for _ in range(DRAWS):
                    difficulty = rng.normal(3, 2, examples)
                    one, other = (hits(rng, difficulty + rng.normal(0, taste, examples), shift) for _ in range(2))
                    pair, strangers = paired_difference(one - other)[0], unpaired_difference(one, other)[0]
                    counts += found(pair), found(strangers), mcnemar(one[0], other[0]) < ALPHA
                rates = ", ".join(f"{rate:.1%}" for rate in counts / DRAWS)
                print(f"n={examples} shift={shift} taste={taste}: paired, unpaired, McNemar {rates}", flush=True)


def quantiles(rng: np.random.Generator, draws: int = 200_000) -> None:
    """Print the levels of two quantiles, the seeds' part being a share of the variance."""
    for seeds in (2, 3, 5, 10):
        for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
            df, others = seeds - 1, 444
            of_seeds = share * rng.chisquare(df, draws) / df
            of_examples = (1 - share) * rng.chisquare(others, draws) / others
            total, away = of_seeds + of_examples, np.abs(rng.normal(size=draws))
            satterthwaite = total**2 / (of_seeds**2 / df + of_examples**2 / others)
            bold = np.mean(away > stats.t.isf(ALPHA / 2, satterthwaite) * np.sqrt(total))
            first, second = stats.t.isf(ALPHA / 2, [df, others])
            ours = np.mean(away > (of_seeds * first + of_examples * second) / np.sqrt(total))
            print(f"{seeds} seeds, share {share}: Satterthwaite {bold:.1%}, weighted {ours:.1%}", flush=True)


if __name__ == "__main__":
    quantiles(np.random.default_rng(0))
    answers(np.random.default_rng(0))
