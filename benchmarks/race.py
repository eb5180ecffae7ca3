"""Simulated races: how often they decide falsely, and what they cost; prints the tables of docs/race.md.

Normal worlds are drawn by their sufficient statistics: products of the vectors of all runs over the examples, by
Bartlett's decomposition, which is exact. A share of their draws, and every draw of a world of right and wrong answers,
goes through the product's function on arrays of all examples.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from unittest import mock

import numpy as np
from race_worlds import (
    MARGIN,
    SEEDS,
    WORLDS,
    NormalRuns,
    binary_arrays,
    example_sds,
    formulas_differ,
    normal_arrays,
    normal_runs,
    with_one_ahead,
)

from ftlab.comparison.stats import race
from ftlab.comparison.stats.race_plan import RaceAssumptions, pilot_assumptions, plan_race
from ftlab.comparison.stats.race_rules import Goal, RaceRules
from ftlab.comparison.stats.race_state import PairState, RaceState
from ftlab.comparison.stats.variance import Array, t_quantile

GOALS: tuple[Goal, ...] = ("best", "strict", "ranking")
# What a pair borrows: as the product has it, as much as the other methods' seeds have, or 3 degrees of freedom always.
PRIORS = {
    "product": race._prior_df,
    "others": lambda rules, active, seeds: min(rules.prior_df, max(0, active - 2) * (seeds - 1)),
    "always": lambda rules, active, seeds: rules.prior_df,
}


class GridRules(RaceRules):
    """The full grid: one look, with all of alpha."""

    @property
    def looks(self) -> tuple[int, ...]:
        return (self.max_seeds,)


def raced(rules: RaceRules, source: NormalRuns | Array) -> RaceState:
    """Return the end of a race."""
    state = RaceState(rules=rules)
    while state.end is None:
        seeds = state.next_seeds
        if isinstance(source, NormalRuns):
            state = race.decide(state, source.statistics(seeds))
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


@dataclass(frozen=True)
class Cell:
    """One goal in one world with one number of examples."""

    world: str
    examples: int
    goal: Goal
    draws: int
    arrays: float  # share of the draws of a normal world that go through arrays
    prior: str = "product"


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
    def share(self) -> float:
        return float(self.runs.mean() / self.grid)

    @property
    def error(self) -> float:
        rate = max(self.false, 1 / self.draws)  # of none in many draws the error is not 0
        return (rate * (1 - rate) / self.draws) ** 0.5


def simulate(cell: Cell) -> Rates:
    """Return the rates of one cell."""
    with mock.patch.object(race, "_prior_df", PRIORS[cell.prior]):
        return _simulate(cell)


def _simulate(cell: Cell) -> Rates:
    rng = np.random.default_rng([*cell.world.encode(), cell.examples])
    false, runs, answered, kept, decided, by_grid = 0, [], 0, 0, 0, 0
    for _ in range(cell.draws):
        world = WORLDS[cell.world]
        if cell.goal == "best":
            world = with_one_ahead(rng, world)
        source: NormalRuns | Array
        if world.binary:
            source = binary_arrays(rng, world, cell.examples)
        elif cell.examples <= 2000 and rng.random() < cell.arrays:
            source = normal_arrays(rng, world, cell.examples)
        else:
            source = normal_runs(rng, world, cell.examples)
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
        false / draws,
        np.array(runs),
        state.grid,
        answered / draws,
        decided / draws,
        by_grid / draws,
        kept / draws,
        draws,
    )


def _decided(state: RaceState) -> int:
    return sum(pair.status in ("ordered", "alike") for pair in state.pairs)


def peeking(draws: int, examples: int) -> float:
    """Return how often two equal methods are called different by whoever stops at the first p < .05 of all looks."""
    rng, called = np.random.default_rng(examples), 0
    looks = RaceRules(methods=WORLDS["A2"].names).looks
    for _ in range(draws):
        runs = normal_runs(rng, WORLDS["A2"], examples)
        for seeds in looks:
            (pair,) = runs.statistics(seeds).values()
            by_seeds, by_examples = pair.seed_variance / seeds, pair.example_variance
            width = by_seeds * t_quantile(0.05, seeds - 1) + by_examples * t_quantile(0.05, examples - 1)
            if abs(pair.difference) > width / (by_seeds + by_examples) ** 0.5:
                called += 1
                break
    return called / draws


def shown(cell: Cell, rates: Rates) -> str:
    """Return false decisions, runs, and what was decided."""
    costs = f"{100 * rates.false:.1f} ± {100 * rates.error:.1f}; {np.median(rates.runs):.0f}, {rates.share:.2f}"
    if cell.goal == "ranking":
        return f"{costs} ({rates.decided:.1f}; {rates.decided_by_grid:.1f})"
    return f"{costs} ({100 * rates.answered:.0f} %, {rates.kept:.1f})"


def plans(pilots: int) -> None:
    """Print what `plan_race` predicts of races with 2,000 examples: from the truth, and from pilots of a few seeds."""
    rng, (taste, waver) = np.random.default_rng(0), example_sds()
    print("| world | plan from | runs as share of the grid [range] | chance of an answer [range] |\n|---|---|--:|--:|")
    for name in ("C", "D", "G"):
        world = WORLDS[name]
        rules = RaceRules(methods=world.names, goal="strict", margin=MARGIN, max_seeds=SEEDS)
        means, sds = (dict(zip(world.names, values, strict=True)) for values in (world.means, world.sds))
        plan = plan_race(rules, RaceAssumptions(means, sds, 2000, taste, waver))
        print(f"| {name} | the truth | {plan.runs / plan.grid:.2f} | {plan.answered:.2f} |")
        for seeds in (2, 3, 5):
            drawn = [normal_arrays(rng, world, 2000)[:, :seeds] for _ in range(pilots)]
            assumed = [pilot_assumptions(dict(zip(world.names, values, strict=True))) for values in drawn]
            of_pilots = [plan_race(rules, assumptions, 60) for assumptions in assumed]
            columns = ([plan.runs / plan.grid for plan in of_pilots], [plan.answered for plan in of_pilots])
            shown = " | ".join(f"{np.mean(column):.2f} [{min(column):.2f}, {max(column):.2f}]" for column in columns)
            print(f"| {name} | {pilots} pilots of {seeds} seeds | {shown} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", default=",".join(WORLDS), help="names; default: all")
    parser.add_argument("--examples", help="such as 445,2000; default: those of each world")
    parser.add_argument("--draws", type=int, default=1000, help="races of a goal in a normal world, a fifth with 0/1")
    parser.add_argument("--arrays", type=float, default=0.02, help="share of normal draws that go through arrays")
    parser.add_argument("--prior", choices=PRIORS, default="product", help="degrees of freedom that a pair borrows")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--pilots", type=int, help="print plans from so many pilots, and no rates")
    asked = parser.parse_args()
    if asked.pilots:
        plans(asked.pilots)
        return
    print(f"formulas of the benchmark and of the product differ by {formulas_differ():.0e} at most", flush=True)
    sizes = [int(size) for size in asked.examples.split(",")] if asked.examples else None
    for size in sizes or (445, 2000, 20_000):
        rate = peeking(asked.draws, size)
        error = (rate * (1 - rate) / asked.draws) ** 0.5
        print(f"stopping at the first p < .05 of all looks, two equal methods, n = {size}: {rate:.1%} ± {error:.1%}")
    cells = [
        Cell(name, size, goal, asked.draws // (5 if WORLDS[name].binary else 1), asked.arrays, asked.prior)
        for name in asked.worlds.split(",")
        for size in sizes or WORLDS[name].sizes
        for goal in GOALS
    ]
    print("cells: false % ± its error; runs: median, mean share of the grid (answered, methods kept; ranking: pairs")
    print("decided, and decided by the full grid)")
    print("| world | n | best | strict | ranking |\n|---|--:|---|---|---|")
    with ProcessPoolExecutor(asked.processes) as pool:
        results = zip(cells, pool.map(simulate, cells), strict=True)
        for of_goals in zip(results, results, results, strict=True):
            cell = of_goals[0][0]
            columns = " | ".join(shown(*of_goal) for of_goal in of_goals)
            print(f"| {cell.world} {WORLDS[cell.world].text} | {cell.examples:,} | {columns} |", flush=True)


if __name__ == "__main__":
    main()
