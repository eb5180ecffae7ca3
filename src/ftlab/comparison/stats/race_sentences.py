"""Sentences of a race: one per decision of a look, and one on its end."""

from math import floor, log10

from ftlab.comparison.stats.race_pairs import MAX_ROWS, MAX_SEEDS, rows_needed, seeds_needed
from ftlab.comparison.stats.race_rules import RaceRules
from ftlab.comparison.stats.race_state import Look, MethodState, PairState, RaceState


def sentences(state: RaceState, number: int = -1) -> list[str]:
    """Return what a look decided, for the reader.

    Args:
        state: of the race.
        number: index of the look; the last one by default.
    """
    look = state.looks[number]
    before = RaceState(rules=state.rules, looks=state.looks[: state.looks.index(look)])
    lines = [
        line
        for old, new in zip(before.methods, look.methods, strict=True)
        for line in _of_method(old, new, look, state.rules)
    ]
    if state.rules.goal == "ranking":
        lines += [
            _of_pair(new, look, state.rules)
            for old, new in zip(before.pairs, look.pairs, strict=True)
            if old.status == "open" and new.status in ("ordered", "alike", "futile")
        ]
    return [*lines, _of_end(look, state)] if look.end else lines


def _of_method(old: MethodState, new: MethodState, look: Look, rules: RaceRules) -> list[str]:
    lines = []
    if new.collapsed > old.collapsed:
        lines.append(f"{new.collapsed} of {new.runs} runs of {new.name} collapsed; its mean includes them.")
    if new.failed > old.failed:
        after = (
            "it gets no more seeds, and the race says nothing about it"
            if new.status == "failed"
            else "the others go on"
        )
        lines.append(f"{new.failed} of {new.runs} runs of {new.name} failed: {after}.")
    if new.by and not old.by:
        pair = next(pair for pair in look.pairs if {*pair.names} == {new.name, new.by})
        claim = "is not the best" if rules.goal == "best" else f"is worse than {new.by}"
        lines.append(f"{new.name} {claim}: it is {_difference(pair, rules)} behind {new.by} after {look.seeds} seeds.")
    if new.good_enough and not old.good_enough:
        lines.append(f"{new.name} is within {rules.margin:g} of the best, after {look.seeds} seeds.")
    return lines


def _of_pair(pair: PairState, look: Look, rules: RaceRules) -> str:
    difference, after = _difference(pair, rules), f"after {look.seeds} seeds"
    if pair.better:
        worse = pair.second if pair.better == pair.first else pair.first
        return f"{pair.better} is better than {worse} by {difference} {after}."
    names = f"{pair.first} and {pair.second}"
    if pair.status == "alike":
        return f"{names} differ by less than {rules.margin:g}: by {difference} {after}."
    return (
        f"{names} are not told apart: they differ by {difference} {after}, and {rules.max_seeds} seeds would hardly "
        f"decide it; {_remedy([pair], look, rules)}."
    )


def _of_end(look: Look, state: RaceState) -> str:
    rules = state.rules
    names = [method.name for method in look.methods if method.status == "active"]
    runs = sum(method.runs for method in look.methods)
    over = f"The race is over after {look.seeds} seeds and {runs} runs of {state.grid}"
    among = " of the methods that did not fail" if any(method.status == "failed" for method in look.methods) else ""
    if look.end == "too many failed":
        return f"{over}: too many methods failed; mend them and start a new race."
    if rules.goal == "ranking":
        decided = sum(pair.status in ("ordered", "alike") for pair in look.pairs)
        return f"{over}: {decided} of {len(look.pairs)} pairs are decided."
    if look.end == "one left":
        return f"{over}: {names[0]} is the best{among}."
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    if look.end == "good enough":
        return f"{over}: {listed} are all within {rules.margin:g} of the best{among}."
    pairs = [pair for pair in look.pairs if {*pair.names} <= {*names} and pair.status == "open"]
    more = f", and {rules.max_seeds} seeds would hardly tell them" if look.end == "futile" else ""
    return f"{over}: {listed} are not told apart{more}; {_remedy(pairs, look, rules)}."


def _difference(pair: PairState, rules: RaceRules) -> str:
    """Return the size of a difference and half the width of its interval."""
    decimals = max(0, 2 - floor(log10(rules.margin)))
    size = abs(pair.statistics.difference) if pair.statistics else 0.0
    width = pair.interval.half_width if pair.interval else 0.0
    return f"{size:.{decimals}f} ± {width:.{decimals}f}"


def _remedy(pairs: list[PairState], look: Look, rules: RaceRules) -> str:
    """Return how many rows or seeds would decide all these pairs, or else the nearest one, if estimates are true."""
    growth = rules.spent_at(rules.max_seeds) / rules.spent_at(look.seeds)  # of the level up to the last look
    seeds: dict[str, int] = {}
    rows: dict[str, int] = {}
    for pair in pairs:
        if pair.statistics and pair.interval:
            names, alpha = f"{pair.first} and {pair.second}", pair.interval.alpha * growth
            if number := seeds_needed(pair.statistics, pair.interval, rules.margin, alpha):
                seeds[names] = number
            if number := rows_needed(pair.statistics, pair.interval, rules.margin, alpha, rules.max_seeds):
                rows[names] = number
    remedies = [
        f"about {max(numbers.values()):,} {unit}"
        for numbers, unit in ((rows, f"rows with {rules.max_seeds} seeds"), (seeds, "seeds with these rows"))
        if numbers and len(numbers) == len(pairs)
    ]
    if remedies:
        return f"{' or '.join(remedies)} would, if the differences stay as they are"
    none = f"neither {MAX_SEEDS} seeds nor {MAX_ROWS:,} times these rows would alone"
    if not seeds:
        return none
    names = min(seeds, key=lambda pair_names: (seeds[pair_names], pair_names))
    return f"{none}, and the nearest pair, {names}, needs about {seeds[names]} seeds"
