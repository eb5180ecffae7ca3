"""Race of methods: seeds are added in looks, and what is decided stops (sequential tests with alpha spending).

`advance` is a pure function of the state and the runs so far, so a race that was killed gives the same states again.
The procedure, its guarantee and its simulated error rates are in docs/race.md.
"""

from collections.abc import Collection, Mapping, Sequence

from ftlab.comparison.stats.race_pairs import (
    PairStatistics,
    decision_chance,
    half_width,
    pair_interval,
    pair_statistics,
)
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.comparison.stats.race_runs import RunCounts, checked_runs, count_runs
from ftlab.comparison.stats.race_state import End, Look, MethodState, PairState, PairStatus, RaceState
from ftlab.comparison.stats.variance import Array

FUTILE = 0.5  # a pair with a lower chance of a decision gets no more seeds

Statistics = Mapping[tuple[str, str], PairStatistics | None]
Methods = dict[str, MethodState]
Decision = tuple[Methods, Sequence[PairState], End | None]


def advance(state: RaceState, values: Mapping[str, Array]) -> RaceState:
    """Return the state after the next look.

    Args:
        state: after the previous look; `RaceState(rules=rules)` before the first.
        values: method -> contributions of each race row to the metric, higher is better, (seeds, examples), with the
            same seeds and rows for all; a row of NaN is a failed run. Methods that stopped may be left out.

    Raises:
        DataError: the values are not those of this look.
        ConfigError: the race is over.
    """
    arrays = checked_runs(state, values)
    statistics = {
        pair.names: pair_statistics(arrays[pair.first], arrays[pair.second])
        for pair in state.pairs
        if pair.first in arrays and pair.second in arrays
    }
    return decide(state, statistics, count_runs(arrays, state.rules.chance))


def decide(state: RaceState, statistics: Statistics, counts: Mapping[str, RunCounts] | None = None) -> RaceState:
    """Return the state after the next look, from the statistics of the pairs of active methods.

    Args:
        state: after the previous look.
        statistics: of each pair of active methods, in the order of `state.pairs`; None with too few runs.
        counts: of active methods, runs that failed or collapsed; None: no run did.

    Raises:
        ConfigError: the race is over.
    """
    rules, seeds = state.rules, state.next_seeds
    methods = {
        method.name: _with_runs(method, seeds, (counts or {}).get(method.name, RunCounts()), rules)
        if method.status == "active"
        else method
        for method in state.methods
    }
    active = frozenset(name for name, method in methods.items() if method.status == "active")
    fresh = (statistics[pair.names] for pair in state.pairs if active.issuperset(pair.names))
    prior = [values for values in fresh if values is not None]
    level = rules.spent_at(seeds) / _comparisons(rules, len(active), state.pairs)
    pairs: Sequence[PairState] = [
        _tested(pair, statistics[pair.names], prior, rules, len(active), level)
        if active.issuperset(pair.names) and (rules.goal != "ranking" or pair.status == "open")
        else pair
        for pair in state.pairs
    ]
    pairs = [_stopped_unless_within(pair, active) for pair in pairs]
    methods, pairs, end = (_rank if rules.goal == "ranking" else _drop)(rules, seeds, methods, pairs)
    look = Look(seeds=seeds, alpha=rules.spent_at(seeds), methods=tuple(methods.values()), pairs=tuple(pairs), end=end)
    return RaceState(rules=rules, looks=(*state.looks, look))


def _with_runs(method: MethodState, seeds: int, counts: RunCounts, rules: RaceRules) -> MethodState:
    stops = counts.failed and (rules.failures == "stop" or counts.failed == seeds)
    return MethodState(
        name=method.name,
        status="failed" if stops else "active",
        good_enough=method.good_enough,
        runs=seeds,
        failed=counts.failed,
        collapsed=counts.collapsed,
    )


def _comparisons(rules: RaceRules, active: int, pairs: Sequence[PairState]) -> int:
    """Return the number of one-sided comparisons that share the alpha of a look."""
    if rules.goal == "best":
        number = len(rules.methods) - 1
    elif rules.goal == "strict":
        number = active * (active - 1) // 2
    else:
        number = sum(pair.status not in ("ordered", "alike") for pair in pairs)  # futile pairs keep their alpha
    return max(1, number)


def _prior_df(rules: RaceRules, active: int, seeds: int) -> float:
    """Return the degrees of freedom that a pair borrows: at most its own, and at most half of the other methods'.

    With one method that scatters more than the others, the mean over all pairs says little about the pairs of that one,
    and half of what enters it comes from a pair's own two methods. Without these limits up to 17 % of races decide
    falsely, with (active - 2) * (seeds - 1) as the only limit up to 8 % (docs/race.md). Methods that stopped do not
    inform the others, because they may scatter less.
    """
    return min(rules.prior_df, (seeds - 1) * min(1.0, max(0, active - 2) / 2))


def _tested(
    pair: PairState,
    statistics: PairStatistics | None,
    prior: Sequence[PairStatistics],
    rules: RaceRules,
    active: int,
    alpha: float,
) -> PairState:
    """Return a pair with the interval of this look, and what it says of the pair."""
    status: PairStatus = "open"
    better, interval = None, None
    if statistics is not None:
        interval = pair_interval(statistics, prior, _prior_df(rules, active, statistics.seeds), alpha)
        distance, width = abs(statistics.difference), interval.half_width
        if distance > width:
            status, better = "ordered", pair.first if statistics.difference > 0 else pair.second
        elif distance + width < rules.margin:
            status = "alike"
    return PairState(
        first=pair.first, second=pair.second, status=status, better=better, statistics=statistics, interval=interval
    )


def _stopped_unless_within(pair: PairState, names: Collection[str]) -> PairState:
    """Return a pair that gets no more seeds, as one of its methods stopped, with that status; others as they are."""
    stops = pair.status == "open" and not all(name in names for name in pair.names)
    return pair.model_copy(update={"status": "stopped"}) if stops else pair


def _is_hopeful(pair: PairState, rules: RaceRules, active: int, comparisons: int) -> bool:
    """Whether seeds up to the last look probably decide a pair."""
    if pair.statistics is None or pair.interval is None:
        return True
    seeds = rules.max_seeds
    df, alpha = _prior_df(rules, active, seeds), rules.spent_at(seeds) / comparisons
    width = half_width(pair.statistics, pair.interval, seeds, alpha, prior_df=df)
    return decision_chance(pair.statistics, pair.interval, rules.margin, width, seeds) > FUTILE


def _drop(rules: RaceRules, seeds: int, methods: Methods, pairs: Sequence[PairState]) -> Decision:
    """Drop the methods that are not the best, and find those within the margin of the best."""
    active = {name for name, method in methods.items() if method.status == "active"}
    leads: dict[str, list[tuple[float, str]]] = {}  # of each worse method: how clearly it is behind, and behind whom
    for pair in pairs:
        if pair.better and pair.statistics and pair.interval and active.issuperset(pair.names):
            worse = pair.second if pair.better == pair.first else pair.first
            leads.setdefault(worse, []).append((-pair.lead_of(worse) - pair.interval.half_width, pair.better))
    if active and len(leads) == len(active):  # in a circle, which needs failed runs that are ignored
        del leads[min(leads, key=lambda name: (max(leads[name]), name))]
    remaining = active - leads.keys()
    within = {
        name
        for name in remaining
        if len(remaining) > 1
        and all(
            pair.interval and pair.interval.half_width - pair.lead_of(name) <= rules.margin
            for pair in pairs
            if name in pair.names and remaining.issuperset(pair.names)
        )
    }
    methods = {
        name: method.model_copy(update={"status": "dropped", "by": max(leads[name])[1]})
        if name in leads
        else method.model_copy(update={"good_enough": seeds})
        if name in within and method.good_enough is None
        else method
        for name, method in methods.items()
    }
    pairs = [_stopped_unless_within(pair, remaining) for pair in pairs]
    end: End | None = None
    if len(remaining) < 2:
        end = "one left" if any(method.status == "dropped" for method in methods.values()) else "too many failed"
    elif all(methods[name].good_enough for name in remaining):
        end = "good enough"
    elif seeds == rules.max_seeds:
        end = "seeds used up"
    elif not any(
        remaining.issuperset(pair.names)
        and _is_hopeful(pair, rules, len(remaining), _comparisons(rules, len(remaining), pairs))
        for pair in pairs
    ):
        end = "futile"
    return methods, pairs, end


def _rank(rules: RaceRules, seeds: int, methods: Methods, pairs: Sequence[PairState]) -> Decision:
    """Give up the pairs that seeds would hardly decide; a method is settled once none of its pairs is open."""
    active = sum(method.status == "active" for method in methods.values())
    if seeds < rules.max_seeds:
        comparisons = _comparisons(rules, active, pairs)
        pairs = [
            pair.model_copy(update={"status": "futile"})
            if pair.status == "open" and not _is_hopeful(pair, rules, active, comparisons)
            else pair
            for pair in pairs
        ]
    contested = {name for pair in pairs if pair.status == "open" for name in pair.names}
    methods = {
        name: method.model_copy(update={"status": "settled"})
        if method.status == "active" and name not in contested
        else method
        for name, method in methods.items()
    }
    statuses = {pair.status for pair in pairs}
    end: End | None = None
    if "open" in statuses:
        end = "seeds used up" if seeds == rules.max_seeds else None
    elif "futile" in statuses:
        end = "futile"
    else:
        end = "too many failed" if statuses == {"stopped"} else "all pairs decided"
    return methods, pairs, end
