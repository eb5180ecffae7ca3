"""Cells of the measurement of the statements: a simulated world, and what is counted in each draw of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.statements_of import (
    Statements,
    Version,
    class_measurements,
    measurements,
    rows_of,
)
from benchmarks.worlds import Method, class_answers, draw, macro_f1

POINT = 0.01
NEARLY = 1e-9
Counts = dict[str, float | None]  # what is counted -> 0 or 1, or another number; None: not in this draw


@dataclass(frozen=True)
class Cell:
    """A simulated world.

    Attributes:
        experiment: key of `EXPERIMENTS`.
        world: what is drawn, in words.
        draws: number of sweeps.
        count: draws one sweep and counts.
    """

    experiment: str
    world: str
    draws: int
    count: Callable[[Version, np.random.Generator], Counts]


EXPERIMENTS = {
    "F1": "advise: the cheapest method is the worst",
    "F2": "advise: the cheapest method collapses or fails",
    "F5": "a row's 95 % interval: coverage of the expected accuracy",
    "F7": "a method 4 points worse, of six; 5 are equal",
    "F7 level": "equal methods: any of them called different",
    "F8": "ten equal methods and a reference that is chosen after looking: any called different",
    "F9": "two methods that no seed changes, with equal accuracy: called different",
    "F10": "macro-F1 of 77 classes, one seed, two models that waver alike: called different",
    "F11": "10 seeds against 4, of which 2 are common",
    "F12": "test sets that share no example, equal methods",
    "F13": "letters of .95, .92 and .60",
    "F14": "equal methods of accuracy .99 with few examples: called different",
    "margin": "as good within a margin: six rows, the first is the best and the declared reference",
}


def advice_cells(draws: int) -> Iterator[Cell]:
    """F1, F2."""
    evenly = [0.960, 0.954, 0.948, 0.942, 0.936, 0.930]
    for name, truths in ((".960 to .930", evenly), ("five at .950, one at .930", [0.95] * 5 + [0.93])):
        for seeds, examples in ((3, 445), (3, 2000), (5, 2000), (10, 2000)):
            yield Cell("F1", f"{name}, {seeds} × {examples}", draws, _regret(truths, seeds, examples))
    for seeds in (3, 5):
        yield Cell("F2", f"collapses in 20 % of its runs, {seeds} × 445", draws, _advised_collapse(seeds))
    yield Cell("F2", "2 of its 5 runs failed, 3 × 445", draws, _advised_failure)


def _regret(truths: Sequence[float], seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = rows_of(draw(rng, [Method(truth) for truth in truths], seeds, examples))
        costs = {row.row: 10.0 * (len(rows) - place) for place, row in enumerate(rows)}
        counts: Counts = {}
        for points in (1, 2):
            advised = version.advised(rows, costs, {}, points * POINT)
            regret = None if advised is None else (max(truths) - truths[int(advised)]) / POINT
            counts[f"no answer ({points} pt)"] = float(advised is None)
            counts[f"> {points} pt below the best"] = float(regret is not None and regret > points + NEARLY)
            counts[f"regret of an answer, pt ({points} pt)"] = regret
        return counts

    return count


def _advised_collapse(seeds: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        sweep = draw(rng, [Method(0.95)] * 5 + [Method(0.95, collapse=0.2)], seeds, 445)
        costs = {str(place): 60.0 - 10 * place for place in range(6)}
        advised = version.advised(rows_of(sweep), costs, {}, 2 * POINT)
        is_cheap, has_collapsed = float(advised == "5"), bool(sweep.collapsed.any())
        return {
            "it is advised": is_cheap,
            "advised, where a run collapsed": is_cheap if has_collapsed else None,
            "no answer": float(advised is None),
        }

    return count


def _advised_failure(version: Version, rng: np.random.Generator) -> Counts:
    sweep = draw(rng, [Method(0.95)] * 6, 3, 445)
    costs = {str(place): 60.0 - 10 * place for place in range(6)}
    advised = version.advised(rows_of(sweep), costs, {"5": 2}, 2 * POINT)
    return {"it is advised": float(advised == "5"), "no answer": float(advised is None)}


def coverage_cells(draws: int) -> Iterator[Cell]:
    """F5."""
    for seeds, examples in product((1, 2, 3, 5, 10), (50, 200, 1000, 5000)):
        for accuracy, sd in product((0.5, 0.9, 0.99), (0.0, 0.005, 0.01, 0.02)):
            number = draws if seeds > 1 else max(1, draws // 4)  # a bootstrap takes as long as a hundred others
            yield Cell(
                "F5",
                f"{seeds} × {examples}, {accuracy}, sd {sd / POINT:g} pt",
                number,
                _covers(Method(accuracy, sd), seeds, examples),
            )


def _covers(method: Method, seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        sweep = draw(rng, [method], seeds, examples)
        interval = version.family(rows_of(sweep), "0").intervals.get("0")
        if interval is None:
            return {"no interval": 1.0}
        run = float(sweep.expected[0, 0])
        return {
            "covered": float(interval.low <= method.accuracy <= interval.high),
            "covers this run's own": float(interval.low <= run <= interval.high) if seeds == 1 else None,
            "outside [0, 1]": float(interval.low < 0 or interval.high > 1),
            "width 0": float(interval.high <= interval.low),
            "width, pt": (interval.high - interval.low) / POINT,
            "no interval": 0.0,
        }

    return count


def level_cells(draws: int) -> Iterator[Cell]:
    """F7, F14."""
    for seeds, examples in ((3, 445), (3, 2000), (5, 445)):
        yield Cell("F7", f"{seeds} × {examples}", draws, _worse_row(seeds, examples))
    scatter: dict[str, Callable[[int], list[float]]] = {
        "sd .5": lambda rows: [0.005] * rows,
        "reference sd 2, rest .3": lambda rows: [0.02] + [0.003] * (rows - 1),
        "one row sd 2, rest .3": lambda rows: [0.003] * (rows - 1) + [0.02],
    }
    for rows, seeds, examples in product((2, 3, 6), (2, 3, 5), (445, 2000)):
        for name, sds in scatter.items():
            if rows > 2 or name != "one row sd 2, rest .3":  # two rows: the same as the one before
                methods = [Method(0.945, sd) for sd in sds(rows)]
                yield Cell("F7 level", f"{rows} rows, {seeds} × {examples}, {name}", draws,
                           _any_different(methods, seeds, examples, "mid"))  # fmt: skip
    for seeds, examples, correlation in product((5, 10), (50, 200), ("high", "low")):
        methods = [Method(0.99, 0.005)] * 2
        yield Cell("F14", f"{seeds} × {examples}, correlation {correlation}", 2 * draws,
                   _any_different(methods, seeds, examples, correlation))  # fmt: skip


def _any_different(
    methods: list[Method], seeds: int, examples: int, correlation: str
) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = rows_of(draw(rng, methods, seeds, examples, correlation))
        return {"any called different": float(bool(version.family(rows, "0").better))}

    return count


def _worse_row(seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        methods = [Method(0.945)] * 5 + [Method(0.905)]
        better = version.family(rows_of(draw(rng, methods, seeds, examples)), "0").better
        return {"found": float(("0", "5") in better), "another called different": float(bool(better - {("0", "5")}))}

    return count


def reference_cells(draws: int) -> Iterator[Cell]:
    """F8."""
    for seeds, examples, sd, correlation in ((3, 1000, 0.01, "low"), (3, 200, 0.005, "low"), (5, 1000, 0.01, "low")):
        yield Cell("F8", f"{seeds} × {examples}, sd {sd / POINT:g} pt", draws,
                   _chosen_reference([Method(0.945, sd)] * 10, seeds, examples, correlation))  # fmt: skip


def _chosen_reference(
    methods: list[Method], seeds: int, examples: int, correlation: str
) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        sweep = draw(rng, methods, seeds, examples, correlation)
        rows = rows_of(sweep)
        best = str(int(sweep.hits.mean((1, 2)).argmax()))
        chosen = {row.row: version.family(rows, row.row, declared=False) for row in rows}
        return {
            "declared": float(bool(version.family(rows, "0").better)),
            "best seen": float(bool(chosen[best].better)),
            "any of ten tried": float(any(statements.better for statements in chosen.values())),
        }

    return count


def special_cells(draws: int) -> Iterator[Cell]:
    """F9 to F13."""
    for differing in (1, 2, 6):
        world = f"{differing} of 200 answers differ, each either way"
        yield Cell("F9", world, draws, _deterministic(200, differing))
    for examples, frequent in product((200, 500), (False, True)):
        world = f"n {examples}, classes {'as 1/rank' if frequent else 'equally frequent'}"
        yield Cell("F10", world, max(1, draws // 2), _classes(examples, frequent))
    for gap in (0.0, 0.04):
        yield Cell("F11", f"{gap / POINT:g} pt worse, n 445", draws, _unbalanced(gap))
    for seeds in (3, 5, 10):
        yield Cell("F12", f"{seeds} × 445", draws, _disjoint(seeds))
    yield Cell("F13", "3 × 445", draws, _letters)


def _deterministic(examples: int, differing: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        first = draw(rng, [Method(0.93, 0.0)], 1, examples).hits[0, 0]
        second = first.copy()
        chosen = rng.choice(examples, differing, replace=False)
        upward = rng.random(differing) < 0.5  # which of the two is right there, whatever the first said
        first[chosen], second[chosen] = upward, ~upward
        rows = [measurements(name, np.tile(hits, (3, 1))) for name, hits in (("0", first), ("1", second))]
        statements = version.family(rows, "0")
        return {"called different": float(bool(statements.better)), "tested": float(bool(statements.tested))}

    return count


def _classes(examples: int, frequent: bool) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        labels, answers = class_answers(rng, 77, examples, 0.8, frequent=frequent)
        rows = [class_measurements(str(m), labels, given, macro_f1(labels, given)) for m, given in enumerate(answers)]
        return {"called different": float(bool(version.family(rows, "0").better))}

    return count


def _unbalanced(gap: float) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        reference, row = draw(rng, [Method(0.945), Method(0.945 - gap)], 10, 445).hits
        rows = [measurements("0", reference[:4], [0, 1, 10, 11]), measurements("1", row, range(10))]
        return {"called different": float(bool(version.family(rows, "0").better))}

    return count


def _disjoint(seeds: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = [measurements(name, draw(rng, [Method(0.945)], seeds, 445).hits[0], prefix=name) for name in "01"]
        statements = version.family(rows, "0")
        return {"called different": float(bool(statements.better)), "tested": float(bool(statements.tested))}

    return count


def _letters(version: Version, rng: np.random.Generator) -> Counts:
    rows = rows_of(draw(rng, [Method(truth) for truth in (0.95, 0.92, 0.60)], 3, 445))
    letters = version.family(rows, "0").letters
    shared = float(bool(set(letters["1"]) & set(letters["2"]))) if letters else None
    return {".92 and .60 share a letter": shared}


def margin_cells(draws: int) -> Iterator[Cell]:
    """Statements within a margin, against the declared reference and against the best."""
    for seeds, examples in ((3, 445), (3, 2000), (10, 445), (10, 2000)):
        for gap in (0.0, 0.005, 0.01, 0.02):
            world = f"five {gap / POINT:g} pt below, {seeds} × {examples}"
            yield Cell("margin", world, draws, _within(gap, seeds, examples))
    for seeds, examples in ((3, 2000), (10, 2000)):
        for gap in (0.01, 0.02):
            world = f"five {gap / POINT:g} pt below, {seeds} × {examples}, sd of the best 2, rest .3"
            yield Cell("margin", world, draws, _within(gap, seeds, examples, (0.02, 0.003)))


def _within(
    gap: float, seeds: int, examples: int, sds: tuple[float, float] = (0.005, 0.005)
) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        methods = [Method(0.945, sds[0])] + [Method(0.945 - gap, sds[1])] * 5
        rows = rows_of(draw(rng, methods, seeds, examples))
        counts: Counts = {}
        for points, declared in product((1, 2), (True, False)):
            statements = version.family(rows, "0", margin=points * POINT, declared=declared)
            against = "reference" if declared else "best"
            for what, value in _margin_counts(statements, gap, points * POINT).items():
                counts[f"{what} {points} pt, {against}"] = value
        return counts

    return count


def _margin_counts(statements: Statements, gap: float, margin: float) -> Counts:
    """Rows on the margin count against both statements."""
    words = [statements.margin.get(str(place)) for place in range(1, 6)]
    if not statements.margin:
        return {"as good": None, "falsely as good": None, "worse": None, "falsely worse": None}
    is_good, is_worse = (np.array([word == wanted for word in words]) for wanted in ("as good", "worse by more"))
    return {
        "as good": float(is_good.mean()),
        "falsely as good": float(is_good.any() and gap >= margin - NEARLY),
        "worse": float(is_worse.mean()),
        "falsely worse": float(is_worse.any() and gap <= margin + NEARLY),
    }


def all_cells(share: float) -> list[Cell]:
    """Return every cell, with this share of the usual draws."""

    def usual(number: int) -> int:
        return max(1, round(number * share))

    return [
        *advice_cells(usual(150)),
        *coverage_cells(usual(200)),
        *level_cells(usual(400)),
        *reference_cells(usual(100)),
        *special_cells(usual(300)),
        *margin_cells(usual(200)),
    ]
