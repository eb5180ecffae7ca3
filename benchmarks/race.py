"""Simulated races: how often they decide falsely, and what they cost; prints the tables of docs/race.md.

Normal worlds are drawn by their sufficient statistics, with formulas of this module: products of the vectors of all
runs over the examples, by Bartlett's decomposition (exact). A share of their draws, and every draw of a world of right
and wrong answers, goes through the product's function on arrays of all examples.
"""

import argparse
import itertools
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from unittest import mock

import numpy as np
from scipy.stats import norm

from ftlab.comparison.stats import race
from ftlab.comparison.stats.race_pairs import PairStatistics, pair_statistics
from ftlab.comparison.stats.race_state import Goal, PairState, RaceRules, RaceState
from ftlab.comparison.stats.variance import Array

MARGIN, SEEDS = 0.01, 10
GOALS: tuple[Goal, ...] = ("best", "strict", "ranking")
SHARES = (0.7, 0.08, 0.22)  # of the latent variance: hard examples, taste of a method for examples, waver of a run
Random = np.random.Generator
Statistics = dict[tuple[str, str], PairStatistics]


@dataclass(frozen=True)
class World:
    """Methods with an expected accuracy and a standard deviation over runs, both as shares; some runs may collapse."""

    means: tuple[float, ...]
    sds: tuple[float, ...]
    collapses: float = 0.0
    binary: bool = False
    text: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"m{number:02}" for number in range(len(self.means)))


def equal(*sds: float, mean: float = 0.945, text: str = "") -> World:
    return World((mean,) * len(sds), tuple(sd / 100 for sd in sds), text=text)


WORLDS = {
    "A": equal(*[0.7] * 6, text="all equal"),
    "A5": replace(equal(*[0.7] * 6), collapses=0.05, text="A, 5 % of runs collapse"),
    "B": equal(0.3, 0.5, 0.5, 1, 1, 2, text="all equal, sds .3 to 2 points"),
    "C": World((0.955, 0.955, 0.92, 0.905, 0.885, 0.855), (0.007,) * 6, text="two best, four 3.5 to 10 points behind"),
    "D": World((0.96, 0.954, 0.948, 0.942, 0.936, 0.93), (0.005,) * 6, text=".93 to .96 evenly, sd .5"),
    "E": World((0.96, 0.954, 0.948, 0.942, 0.936, 0.93), (0.01,) * 6, text="the same, sd 1"),
    "F": World((0.96, *(0.945,) * 5), (0.007,) * 6, text="one ahead by 1.5 points"),
    "G": World(
        (0.947, 0.945, 0.938, 0.921, 0.918, 0.827),
        (0.007, 0.003, 0.007, 0.008, 0.011, 0.002),
        text="six rows of docs/results.md",
    ),
    "J": equal(*[0.7] * 12, text="12 equal"),
    "K": World((0.955, *(0.955 - 1.0001 * MARGIN,) * 5), (0.007,) * 6, text="one ahead by the margin"),
    "A2": equal(0.7, 0.7, text="two equal"),
    "A3": equal(0.7, 0.7, 0.7, text="three equal"),
    "A4": equal(*[0.7] * 4, text="four equal"),
    "B2": equal(0.3, 2, text="two equal, sds .3 and 2"),
    "B3": equal(0.3, 0.5, 2, text="three equal, sds .3, .5 and 2"),
    "K2": World((0.955, 0.955 - 1.0001 * MARGIN), (0.007, 0.007), text="two, a margin apart"),
    "K3": World((0.955, *(0.955 - 1.0001 * MARGIN,) * 2), (0.007,) * 3, text="three, one ahead by the margin"),
}
WORLDS |= {
    f"{name}01": replace(WORLDS[name], binary=True, text=f"{name}, right and wrong answers")
    for name in ("A", "B", "C", "A2", "A3", "K3")
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


def normal_statistics(rng: Random, world: World, examples: int) -> dict[int, Statistics]:
    """Return the statistics of each pair at each look."""
    methods = len(world.means)
    taste, waver = example_sds()
    sds = np.array([taste] * methods + [waver] * methods * SEEDS)
    if examples - 1 < len(sds):
        raise SystemExit(f"{methods} methods need more than {len(sds)} examples in a normal world")
    vectors = normal_vectors(rng, len(sds), examples) * sds[:, None]
    means = rng.normal(0, sds / examples**0.5)
    deviations = vectors[:methods, None] + vectors[methods:].reshape(methods, SEEDS, -1)
    scores = run_effects(rng, world) + means[:methods, None] + means[methods:].reshape(methods, SEEDS)
    return dict(_statistics(world.names, scores, deviations, examples))


def _statistics(names: tuple[str, ...], scores: Array, deviations: Array, examples: int) -> Iterator[tuple[int, Statistics]]:
    """Yield the seeds of a look and the statistics of its pairs.

    Args:
        names: of the methods.
        scores: mean of each run, (methods, seeds).
        deviations: of each run from its mean, (methods, seeds, any coordinates with the products of the examples).
        examples: number of examples.
    """
    first, second = np.triu_indices(len(names), 1)
    gaps, vectors = scores[first] - scores[second], deviations[first] - deviations[second]
    sums = vectors.cumsum(1)
    squares = np.einsum("psk,psk->ps", vectors, vectors).cumsum(1)
    for seeds in RaceRules(methods=("a", "b")).looks:
        total = np.einsum("pk,pk->p", sums[:, seeds - 1], sums[:, seeds - 1])
        residual = (squares[:, seeds - 1] - total / seeds) / ((seeds - 1) * (examples - 1))
        shared = total / seeds**2 / (examples - 1) - residual / seeds
        yield seeds, {
            (names[i], names[j]): PairStatistics(
                difference=float(gap[:seeds].mean()),
                seed_variance=float(gap[:seeds].var(ddof=1)),
                interaction=float(noise / examples),
                example_variance=float(max(0.0, excess) / examples),
                seeds=seeds,
                examples=examples,
            )
            for i, j, gap, noise, excess in zip(first, second, gaps, residual, shared, strict=True)
        }


class GridRules(RaceRules):
    """The full grid: one look, with all of alpha."""

    @property
    def looks(self) -> tuple[int, ...]:
        return (self.max_seeds,)


def raced(rules: RaceRules, source: dict[int, Statistics] | Array) -> RaceState:
    """Return the end of a race, from statistics of each look or from arrays of all runs."""
    state = RaceState(rules=rules)
    while state.end is None:
        seeds = state.next_seeds
        if isinstance(source, dict):
            state = race.decide(state, source[seeds])
        else:
            values = dict(zip(rules.methods, source[:, :seeds], strict=True))
            state = race.advance(state, {name: values[name] for name in state.active})
    return state


def is_false(state: RaceState, means: dict[str, float]) -> bool:
    """Whether a race decided anything falsely."""
    best = max(means.values())
    if state.rules.goal == "ranking":
        return any(_is_false_pair(pair, means) for pair in state.pairs)
    for method in state.methods:
        if method.good_enough and best - means[method.name] > MARGIN:
            return True
        if method.by and state.rules.goal == "best" and means[method.name] == best:
            return True
        if method.by and state.rules.goal == "strict" and means[method.name] >= means[method.by]:
            return True
    return False


def _is_false_pair(pair: PairState, means: dict[str, float]) -> bool:
    gap = means[pair.first] - means[pair.second]
    if pair.status == "ordered":
        return (gap if pair.better == pair.first else -gap) <= 0
    return pair.status == "alike" and abs(gap) > MARGIN


def with_one_ahead(rng: Random, world: World) -> World:
    """Return a world where a random one of equal methods is ahead by .05 points: the goal `best` needs a best."""
    if world.means.count(max(world.means)) == 1:
        return world
    tied = [index for index, mean in enumerate(world.means) if mean == max(world.means)]
    ahead = int(rng.choice(tied))
    return replace(world, means=tuple(mean + 0.0005 * (index == ahead) for index, mean in enumerate(world.means)))


@dataclass(frozen=True)
class Cell:
    """One goal in one world with one number of examples."""

    world: str
    examples: int
    goal: Goal
    draws: int
    arrays: float  # share of the draws of a normal world that go through arrays
    cap: bool = True


@dataclass(frozen=True)
class Rates:
    """What the draws of a cell gave."""

    false: float
    runs: Array
    grid: int
    answered: float
    decided: float
    decided_by_grid: float
    kept: float
    draws: int

    @property
    def error(self) -> float:
        rate = max(self.false, 1 / self.draws)  # of none in many draws the error is not 0
        return (rate * (1 - rate) / self.draws) ** 0.5


def simulate(cell: Cell) -> Rates:
    """Return the rates of one cell."""
    with mock.patch.object(race, "_prior_df", race._prior_df if cell.cap else lambda rules, *_: rules.prior_df):
        return _simulate(cell)


def _simulate(cell: Cell) -> Rates:
    rng = np.random.default_rng([*cell.world.encode(), cell.examples])
    false, runs, answered, kept, decided, by_grid = 0, [], 0, 0, 0, 0
    for _ in range(cell.draws):
        world = WORLDS[cell.world]
        if cell.goal == "best":
            world = with_one_ahead(rng, world)
        source: dict[int, Statistics] | Array
        if world.binary:
            source = binary_arrays(rng, world, cell.examples)
        elif cell.examples <= 2000 and rng.random() < cell.arrays:
            source = normal_arrays(rng, world, cell.examples)
        else:
            source = normal_statistics(rng, world, cell.examples)
        rules = RaceRules(methods=world.names, goal=cell.goal, margin=MARGIN, max_seeds=SEEDS)
        state = raced(rules, source)
        false += is_false(state, dict(zip(world.names, world.means, strict=True)))
        runs.append(state.runs)
        answered += state.is_answered
        kept += len(state.active)
        if cell.goal == "ranking":
            grid = raced(GridRules(**rules.model_dump()), source)
            decided += _decided(state)
            by_grid += _decided(grid)
    draws = cell.draws
    return Rates(
        false / draws, np.array(runs), state.grid, answered / draws, decided / draws, by_grid / draws, kept / draws, draws
    )


def _decided(state: RaceState) -> int:
    return sum(pair.status in ("ordered", "alike") for pair in state.pairs)


def formulas_agree(examples: int = 300) -> float:
    """Return the largest relative difference of this module's statistics and the product's on the same arrays."""
    world, rng = WORLDS["G"], np.random.default_rng(0)
    arrays = normal_arrays(rng, world, examples)
    scores = arrays.mean(2)
    largest = 0.0
    for seeds, statistics in _statistics(world.names, scores, arrays - scores[..., None], examples):
        for (i, j), pair in zip(itertools.combinations(range(6), 2), statistics.values(), strict=True):
            theirs = pair_statistics(arrays[i, :seeds], arrays[j, :seeds])
            assert theirs is not None
            for field in ("difference", "seed_variance", "interaction", "example_variance"):
                a, b = getattr(pair, field), getattr(theirs, field)
                largest = max(largest, abs(a - b) / max(abs(a), 1e-9))
    return largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", default="A,A5,B,C,D,E,F,G,J,K", help="names, or all")
    parser.add_argument("--examples", default="445,2000,20000")
    parser.add_argument("--goals", default=",".join(GOALS))
    parser.add_argument("--draws", type=int, default=1000, help="of a normal world; a tenth of 0/1 worlds")
    parser.add_argument("--arrays", type=float, default=0.02, help="share of normal draws that go through arrays")
    parser.add_argument("--no-cap", action="store_true", help="borrow 3 degrees of freedom whatever the others have")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    print(f"formulas of the benchmark and of the product differ by {formulas_agree():.0e} at most", flush=True)
    names = list(WORLDS) if asked.worlds == "all" else asked.worlds.split(",")
    cells = [
        Cell(name, examples, goal, asked.draws // (10 if WORLDS[name].binary else 1), asked.arrays, not asked.no_cap)
        for name in names
        for examples in map(int, asked.examples.split(","))
        for goal in GOALS
        if goal in asked.goals.split(",") and not (WORLDS[name].binary and examples > 2000)
    ]
    print("| world | n | goal | false % | runs: median; mean share of the grid | answered % | kept | decided; by the grid |")
    print("|---|--:|---|--:|--:|--:|--:|--:|")
    with ProcessPoolExecutor(asked.processes) as pool:
        for cell, rates in zip(cells, pool.map(simulate, cells), strict=True):
            pairs = f"{rates.decided:.1f}; {rates.decided_by_grid:.1f}" if cell.goal == "ranking" else ""
            print(
                f"| {cell.world} {WORLDS[cell.world].text} | {cell.examples:,} | {cell.goal} "
                f"| {rates.false:.1%} ± {rates.error:.1%} | {np.median(rates.runs):.0f}; {rates.runs.mean() / rates.grid:.2f} "
                f"| {rates.answered:.0%} | {rates.kept:.1f} | {pairs} |".replace("%", ""),
                flush=True,
            )


if __name__ == "__main__":
    main()
