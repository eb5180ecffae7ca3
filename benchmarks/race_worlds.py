"""Worlds of simulated races: methods, and draws of their runs, with formulas that are not the product's."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.stats import norm

from ftlab.comparison.stats.race_pairs import PairStatistics, pair_statistics
from ftlab.comparison.stats.variance import Array

MARGIN, SEEDS = 0.01, 10
SHARES = (0.7, 0.08, 0.22)  # of the latent variance: hard examples, taste of a method for examples, waver of a run
Random = np.random.Generator
Statistics = dict[tuple[str, str], PairStatistics]


@dataclass(frozen=True)
class World:
    """Methods with an expected accuracy and a standard deviation over runs, both as shares; some runs may collapse."""

    means: tuple[float, ...]
    sds: tuple[float, ...]
    collapses: float = 0.0
    sizes: tuple[int, ...] = (445, 2000)
    binary: bool = False
    text: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"m{number:02}" for number in range(len(self.means)))


def equal(*sds: float, sizes: tuple[int, ...] = (445, 2000), text: str = "") -> World:
    """Return a world of methods of the same accuracy, from their standard deviations in points."""
    return World((0.945,) * len(sds), tuple(sd / 100 for sd in sds), sizes=sizes, text=text)


_LARGE, _ALL = (2000, 20_000), (445, 2000, 20_000)
_LOW = 0.955 - 1.0001 * MARGIN
WORLDS = {
    "A": equal(*[0.7] * 6, sizes=_ALL, text="all equal, sd .7"),
    "A5": replace(equal(*[0.7] * 6), collapses=0.05, text="A, 5 % of runs collapse"),
    "B": equal(0.3, 0.5, 0.5, 1, 1, 2, sizes=_ALL, text="all equal, sds .3 .5 .5 1 1 2"),
    "C": World((0.955, 0.955, 0.92, 0.905, 0.885, 0.855), (0.007,) * 6, text="two best, four 3.5–10 points behind"),
    "D": World((0.96, 0.954, 0.948, 0.942, 0.936, 0.93), (0.005,) * 6, text=".93 to .96 evenly, sd .5"),
    "E": World((0.96, 0.954, 0.948, 0.942, 0.936, 0.93), (0.01,) * 6, text="the same, sd 1"),
    "F": World((0.96, *(0.945,) * 5), (0.007,) * 6, text="one ahead by 1.5 points, sd .7"),
    "G": World(
        (0.947, 0.945, 0.938, 0.921, 0.918, 0.827),
        (0.007, 0.003, 0.007, 0.008, 0.011, 0.002),
        text="full, loha, adapter, lora, prefix, head of docs/results.md",
    ),
    "J": equal(*[0.7] * 12, text="12 equal, sd .7"),
    "K": World((0.955, *(_LOW,) * 5), (0.007,) * 6, sizes=_ALL, text="one ahead by the margin, sd .7"),
    "X": World(
        (0.945, 0.945, *[0.9] * 4), (0.02, 0.02, *[0.002] * 4), sizes=_LARGE, text="two of sd 2, four of .2 behind"
    ),
    "W6": equal(*[0.3] * 5, 2, sizes=_LARGE, text="6 equal, one of sd 2, the others .3"),
    "W4": equal(*[0.3] * 3, 2, sizes=_LARGE, text="4 equal, one of sd 2, the others .3"),
    "B4": equal(0.3, 0.5, 1, 2, sizes=_LARGE, text="4 equal, sds .3 .5 1 2"),
    "B3": equal(0.3, 0.5, 2, sizes=_LARGE, text="3 equal, sds .3 .5 2"),
    "A3": equal(0.7, 0.7, 0.7, sizes=_LARGE, text="3 equal, sd .7"),
    "K3": World((0.955, _LOW, _LOW), (0.007,) * 3, sizes=_LARGE, text="3, one ahead by the margin"),
    "B2": equal(0.3, 2, sizes=_LARGE, text="2 equal, sds .3 2"),
    "A2": equal(0.7, 0.7, sizes=_LARGE, text="2 equal, sd .7"),
    "K2": World((0.955, _LOW), (0.007, 0.007), sizes=_LARGE, text="2, a margin apart"),
}
WORLDS |= {
    f"{name}01": replace(WORLDS[name], binary=True, sizes=(445, 2000), text=f"{name}, right and wrong answers")
    for name in ("A", "B", "C", "B3", "A2", "K3")
}


@cache
def example_sds() -> tuple[float, float]:
    """Return the standard deviations of taste and waver per example of 0/1 answers of accuracy .945."""
    rng, examples = np.random.default_rng(0), 1_000_000
    hard, *rest = (rng.normal(0, share**0.5, (size, examples)) for share, size in zip(SHARES, (1, 2, 4), strict=True))
    taste, waver = rest
    right = (norm.ppf(0.945) + hard + taste[[0, 0, 1, 1]] + waver > 0).astype(float)
    wavering = float(np.mean((right[0] - right[1]) ** 2) / 2)
    apart = float(np.mean((right[0] - right[2]) ** 2) / 2)
    return (apart - wavering) ** 0.5, wavering**0.5


def run_effects(rng: Random, world: World) -> Array:
    """Return the expected accuracy of each run, (methods, seeds)."""
    runs = np.array(world.means)[:, None] + rng.normal(0, 1, (len(world.means), SEEDS)) * np.array(world.sds)[:, None]
    return runs - 0.445 * (rng.random(runs.shape) < world.collapses)


def normal_arrays(rng: Random, world: World, examples: int) -> Array:
    """Return contributions of every run, (methods, seeds, examples)."""
    taste, waver = example_sds()
    methods = len(world.means)
    tastes = rng.normal(0, taste, (methods, 1, examples))
    return run_effects(rng, world)[..., None] + tastes + rng.normal(0, waver, (methods, SEEDS, examples))


def binary_arrays(rng: Random, world: World, examples: int) -> Array:
    """Return right and wrong answers of every run; expected accuracies are those of the world exactly."""
    means, sds = np.array(world.means), np.array(world.sds)
    run_sds = sds / norm.pdf(norm.ppf(means))
    latent = norm.ppf(means) * np.sqrt(1 + run_sds**2)
    hard, taste, waver = (share**0.5 for share in SHARES)
    methods = len(means)
    values = (latent[:, None] + rng.normal(0, 1, (methods, SEEDS)) * run_sds[:, None])[..., None]
    values = values + rng.normal(0, hard, examples) + rng.normal(0, taste, (methods, 1, examples))
    return (values + rng.normal(0, waver, (methods, SEEDS, examples)) > 0).astype(np.float64)


def normal_vectors(rng: Random, number: int, examples: int) -> Array:
    """Return vectors with the products of `number` standard normal vectors over examples, without their means.

    Bartlett's decomposition of the Wishart distribution: (number, number) in place of (number, examples - 1).
    """
    vectors = np.tril(rng.normal(size=(number, number)), -1)
    np.fill_diagonal(vectors, np.sqrt(rng.chisquare(examples - 1 - np.arange(number))))
    return vectors


class NormalRuns:
    """Runs of a normal world, drawn by their sufficient statistics.

    Attributes:
        names: of the methods.
        examples: number of examples.
        gaps: difference of each pair of methods in each seed, (pairs, seeds).
        squares: squared length of the differences about their means, cumulated over seeds, (pairs, seeds).
        totals: squared length of their sum over seeds, (pairs, seeds).
    """

    def __init__(self, names: tuple[str, ...], scores: Array, deviations: Array, examples: int) -> None:
        """Take means and deviations of runs.

        Args:
            names: of the methods.
            scores: mean of each run, (methods, seeds).
            deviations: of each run from its mean, (methods, seeds, coordinates); with the products of the examples.
            examples: number of examples.
        """
        first, second = np.triu_indices(len(names), 1)
        self.names, self.examples = [(names[i], names[j]) for i, j in zip(first, second, strict=True)], examples
        self.gaps, vectors = scores[first] - scores[second], deviations[first] - deviations[second]
        self.squares, self.totals = np.square(vectors).sum(2).cumsum(1), np.square(vectors.cumsum(1)).sum(2)

    def statistics(self, seeds: int) -> Statistics:
        """Return the statistics of each pair with so many seeds."""
        degrees, total = self.examples - 1, self.totals[:, seeds - 1]
        residual = (self.squares[:, seeds - 1] - total / seeds) / ((seeds - 1) * degrees)
        shared = np.maximum(0, total / seeds**2 / degrees - residual / seeds)
        gaps = self.gaps[:, :seeds]
        columns = (gaps.mean(1), gaps.var(1, ddof=1), residual / self.examples, shared / self.examples)
        fields = ("difference", "seed_variance", "interaction", "example_variance")
        return {
            pair: PairStatistics(**dict(zip(fields, values, strict=True)), seeds=seeds, examples=self.examples)
            for pair, values in zip(self.names, zip(*(column.tolist() for column in columns), strict=True), strict=True)
        }


def normal_runs(rng: Random, world: World, examples: int) -> NormalRuns:
    """Return runs of a normal world."""
    methods = len(world.means)
    taste, waver = example_sds()
    sds = np.array([taste] * methods + [waver] * methods * SEEDS)
    if examples - 1 < len(sds):
        raise SystemExit(f"{methods} methods need more than {len(sds)} examples in a normal world")
    vectors = normal_vectors(rng, len(sds), examples) * sds[:, None]
    means = rng.normal(0, sds / examples**0.5)
    deviations = vectors[:methods, None] + vectors[methods:].reshape(methods, SEEDS, -1)
    scores = run_effects(rng, world) + means[:methods, None] + means[methods:].reshape(methods, SEEDS)
    return NormalRuns(world.names, scores, deviations, examples)


def formulas_differ(examples: int = 300) -> float:
    """Return the largest relative difference of these statistics and the product's on the same arrays."""
    world = WORLDS["G"]
    arrays = normal_arrays(np.random.default_rng(0), world, examples)
    scores = arrays.mean(2)
    runs = NormalRuns(world.names, scores, arrays - scores[..., None], examples)
    largest = 0.0
    for seeds in range(2, SEEDS + 1):
        for (first, second), pair in runs.statistics(seeds).items():
            i, j = world.names.index(first), world.names.index(second)
            theirs = pair_statistics(arrays[i, :seeds], arrays[j, :seeds])
            assert theirs is not None
            for field in ("difference", "seed_variance", "interaction", "example_variance"):
                a, b = getattr(pair, field), getattr(theirs, field)
                largest = max(largest, abs(a - b) / max(abs(a), 1e-9))
    return largest


def with_one_ahead(rng: Random, world: World) -> World:
    """Return a world where a random one of equal methods is ahead by .05 points: the goal `best` needs a best."""
    if world.means.count(max(world.means)) == 1:
        return world
    tied = [index for index, mean in enumerate(world.means) if mean == max(world.means)]
    ahead = int(rng.choice(tied))
    return replace(world, means=tuple(mean + 0.0005 * (index == ahead) for index, mean in enumerate(world.means)))
