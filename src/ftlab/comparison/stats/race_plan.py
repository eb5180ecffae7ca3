"""Plan of a race: what it will probably cost, and whether it will find an answer, by simulation of its rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from ftlab.comparison.stats.layout import TwoWayLayout
from ftlab.comparison.stats.race import decide
from ftlab.comparison.stats.race_pairs import PairStatistics
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.comparison.stats.race_state import RaceState
from ftlab.comparison.stats.variance import Array
from ftlab.core.errors import ConfigError


@dataclass(frozen=True)
class RaceAssumptions:
    """Assumed truth about the methods of a race.

    Attributes:
        means: method -> expected metric, higher is better.
        run_sds: method -> standard deviation over seeds of a run's expected metric.
        examples: rows of the race.
        taste_sd: standard deviation per row of what a method is better or worse at, the same for all its runs.
        waver_sd: standard deviation per row of what differs from run to run of a method.
        mean_sd: standard error of `means`; 0 if they are stated, not measured.
    """

    means: Mapping[str, float]
    run_sds: Mapping[str, float]
    examples: int
    taste_sd: float
    waver_sd: float
    mean_sd: float = 0.0


@dataclass(frozen=True)
class RacePlan:
    """Expected cost and result of a race.

    Attributes:
        runs: expected number of runs.
        seeds: method -> expected number of seeds; times the cost of a run it is the expected cost.
        few: number of runs that one in ten races stays below.
        many: number of runs that one in ten races exceeds.
        grid: runs of the full grid.
        answered: probability of an answer; of a ranking, that all pairs are decided.
        decided: expected share of the pairs that are decided; for a ranking.
        stays: method -> probability that it stays to the end; nothing for a ranking.
    """

    runs: float
    seeds: Mapping[str, float]
    few: float
    many: float
    grid: int
    answered: float
    decided: float
    stays: Mapping[str, float]


def pilot_assumptions(values: Mapping[str, Array]) -> RaceAssumptions:
    """Return what a few runs of each method say about them.

    The differences of a pilot are larger than the true ones, so the means are shrunk towards their own mean (empirical
    Bayes). Standard deviations are pooled over the methods: of two or three seeds each, single ones say little.

    Args:
        values: method -> contributions, (seeds, examples), at least 2 seeds of the same number for all.

    Raises:
        ConfigError: the pilot has one method, one seed, or arrays of different shapes.
    """
    shapes = {array.shape for array in values.values()}
    if len(values) < 2 or len(shapes) != 1:
        raise ConfigError("a pilot needs the same seeds and rows for at least two methods: leave out the others.")
    seeds, examples = shapes.pop()
    if seeds < 2:
        raise ConfigError("a pilot with one seed says nothing about the scatter of runs: run a second seed of each.")
    stacked = np.stack(list(values.values()))
    methods = len(stacked)
    # what all methods share cancels out in every difference
    layouts = [TwoWayLayout(array) for array in (stacked - stacked.mean(0)) * sqrt(methods / (methods - 1))]
    waver = float(np.mean([layout.interaction for layout in layouts]))
    run = max(0.0, float(np.mean([np.var(layout.by_seed, ddof=1) for layout in layouts])) - waver / examples)
    taste = max(0.0, float(np.mean([np.var(layout.by_example, ddof=1) for layout in layouts])) - waver / seeds)
    means = stacked.mean((1, 2))
    noise = run / seeds + waver / (seeds * examples) + taste / examples
    weight = max(0.0, 1 - noise / float(np.var(means, ddof=1))) if noise else 1.0
    shrunk = means.mean() + weight * (means - means.mean())
    return RaceAssumptions(
        means={name: float(mean) for name, mean in zip(values, shrunk, strict=True)},
        run_sds=dict.fromkeys(values, sqrt(run)),
        examples=examples,
        taste_sd=sqrt(taste),
        waver_sd=sqrt(waver),
        mean_sd=sqrt(weight * noise),
    )


def plan_race(rules: RaceRules, assumptions: RaceAssumptions, draws: int = 300, seed: int = 0) -> RacePlan:
    """Return what a race will probably cost and find, if the assumptions hold.

    Args:
        rules: of the race.
        assumptions: of its methods.
        draws: simulated races.
        seed: of the simulation.

    Raises:
        ConfigError: the assumptions are not about the race's methods.
    """
    if set(assumptions.means) != set(rules.methods) or set(assumptions.run_sds) != set(rules.methods):
        raise ConfigError("the plan of a race needs a mean and a standard deviation of each of its methods: give both.")
    rng = np.random.default_rng(seed)
    ends = [_simulated(rules, assumptions, rng) for _ in range(draws)]
    runs = np.array([end.runs for end in ends])
    few, many = np.quantile(runs, (0.1, 0.9))
    decided = [pair.status in ("ordered", "alike") for end in ends for pair in end.pairs]
    return RacePlan(
        runs=float(runs.mean()),
        seeds={name: float(np.mean([end.methods[i].runs for end in ends])) for i, name in enumerate(rules.methods)},
        few=float(few),
        many=float(many),
        grid=ends[0].grid,
        answered=float(np.mean([end.is_answered for end in ends])),
        decided=float(np.mean(decided)),
        stays={}
        if rules.goal == "ranking"
        else {name: float(np.mean([name in end.active for end in ends])) for name in rules.methods},
    )


def _simulated(rules: RaceRules, truth: RaceAssumptions, rng: np.random.Generator) -> RaceState:
    """Return the end of one race; the variances over rows are taken as known, as there are many rows."""
    examples, shape = truth.examples, (len(rules.methods), rules.max_seeds)
    means = np.array([truth.means[name] for name in rules.methods])
    sds = np.array([truth.run_sds[name] for name in rules.methods])
    means = means + rng.normal(0, truth.mean_sd, shape[0]) + rng.normal(0, truth.taste_sd / sqrt(examples), shape[0])
    scatter = np.sqrt(sds**2 + truth.waver_sd**2 / examples)
    scores = dict(zip(rules.methods, means[:, None] + rng.normal(size=shape) * scatter[:, None], strict=True))
    state = RaceState(rules=rules)
    while state.end is None:
        seeds = state.next_seeds
        statistics = {}
        for pair in state.pairs:
            gaps = scores[pair.first][:seeds] - scores[pair.second][:seeds]
            statistics[pair.names] = PairStatistics(
                difference=float(gaps.mean()),
                seed_variance=float(np.var(gaps, ddof=1)),
                interaction=2 * truth.waver_sd**2 / examples,
                example_variance=2 * truth.taste_sd**2 / examples,
                seeds=seeds,
                examples=examples,
            )
        state = decide(state, statistics)
    return state
