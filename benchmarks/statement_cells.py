"""Cells of the measurement of the statements: a simulated world, and what is counted in each draw of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.statements_of import Version, class_measurements, measurements, rows_of
from benchmarks.worlds import Method, class_answers, draw, macro_f1

POINT = 0.01
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
    "F7": "a method 4 points worse than the others, which are equal",
    "F7 level": "equal methods: any of them called different",
    "F8": "ten equal methods and a reference that is chosen after looking: any called different",
    "F9": "two methods that no seed changes, with equal accuracy: called different",
    "F10": "macro-F1 of 77 classes, one seed, two models that waver alike: called different",
    "F11": "10 seeds against 4, of which 2 are common",
    "F11 level": "equal methods with different numbers of seeds, 2000 examples: any called different",
    "F12": "test sets that share no example, equal methods",
    "F13": "letters of .95, .92 and .60",
    "F14": "equal methods of accuracy .99 with few examples: called different",
    "margin": "As good within a margin: six rows, the first is the best and the declared reference",
}


def coverage_cells(draws: int) -> Iterator[Cell]:
    """F5."""
    for seeds, examples in product((1, 2, 3, 5, 10), (50, 200, 1000, 5000)):
        for accuracy, sd in product((0.5, 0.9, 0.99), (0.0, 0.005, 0.01, 0.02)):
            number = draws if seeds > 1 else max(1, draws // 5)  # a bootstrap takes as long as a hundred others
            yield Cell(
                "F5",
                f"{seeds} × {examples}, {accuracy}, sd {sd / POINT:g} pt",
                number,
                covers(Method(accuracy, sd), seeds, examples),
            )


def covers(method: Method, seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
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
    for rows, seeds, examples in ((6, 3, 445), (6, 3, 2000), (6, 5, 445), (2, 3, 445), (2, 3, 2000), (3, 3, 445)):
        world = f"{rows} rows, {seeds} × {examples}"
        yield Cell("F7", world, draws, worse_row(rows, seeds, examples))
    for rows, seeds in product((2, 3, 6), (2, 3, 5)):
        for examples, name, sds in (
            (445, "sd .5", [0.005] * rows),
            (2000, "reference sd 2, rest .3", [0.02] + [0.003] * (rows - 1)),
            (2000, "one row sd 2, rest .3", [0.003] * (rows - 1) + [0.02]),
        ):
            if rows > 2 or not name.startswith("one row"):  # of two rows it is the same as the one before
                methods = [Method(0.945, sd) for sd in sds]
                world = f"{rows} rows, {seeds} × {examples}, {name}"
                yield Cell("F7 level", world, draws, any_different(methods, seeds, examples, "mid"))
    for rows, collapse in product((2, 6), (0.1, 0.3)):
        world = f"{rows} rows, 3 × 445, all collapse in {collapse:.0%} of their runs"
        yield Cell("F7 level", world, draws, any_different([Method(0.945, collapse=collapse)] * rows, 3, 445, "mid"))
    for seeds, examples, correlation in product((5, 10), (50, 200), ("high", "low")):
        methods = [Method(0.99, 0.005)] * 2
        yield Cell("F14", f"{seeds} × {examples}, correlation {correlation}", 2 * draws,
                   any_different(methods, seeds, examples, correlation))  # fmt: skip


def any_different(
    methods: list[Method], seeds: int, examples: int, correlation: str
) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = rows_of(draw(rng, methods, seeds, examples, correlation))
        return {"any called different": float(bool(version.family(rows, "0").better))}

    return count


def worse_row(rows: int, seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        methods = [Method(0.945)] * (rows - 1) + [Method(0.905)]
        better = version.family(rows_of(draw(rng, methods, seeds, examples)), "0").better
        worst = ("0", str(rows - 1))
        return {"found": float(worst in better), "another called different": float(bool(better - {worst}))}

    return count


def reference_cells(draws: int) -> Iterator[Cell]:
    """F8."""
    for seeds, examples, sd, correlation in ((3, 1000, 0.01, "low"), (5, 1000, 0.01, "low")):
        yield Cell("F8", f"{seeds} × {examples}, sd {sd / POINT:g} pt", draws,
                   chosen_reference([Method(0.945, sd)] * 10, seeds, examples, correlation))  # fmt: skip


def chosen_reference(
    methods: list[Method], seeds: int, examples: int, correlation: str, *, all_tried: bool = True
) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        sweep = draw(rng, methods, seeds, examples, correlation)
        rows = rows_of(sweep)
        best = str(int(sweep.hits.mean((1, 2)).argmax()))
        labels = [row.row for row in rows] if all_tried else [best]
        differs = {label: bool(version.family(rows, label, declared=False).better) for label in labels}
        return {
            "declared": float(bool(version.family(rows, "0").better)),
            "best seen": float(differs[best]),
            "any of ten tried": float(any(differs.values())) if all_tried else None,
        }

    return count


def special_cells(draws: int) -> Iterator[Cell]:
    """F9 to F13."""
    for differing in (1, 2, 6):
        world = f"{differing} of 200 answers differ, each either way"
        yield Cell("F9", world, max(1, draws // 2), deterministic(200, differing))
    for examples, frequent in product((200, 500), (False, True)):
        world = f"n {examples}, classes {'as 1/rank' if frequent else 'equally frequent'}"
        yield Cell("F10", world, max(1, draws // 2), classes(examples, frequent))
    for gap in (0.0, 0.04):
        yield Cell("F11", f"{gap / POINT:g} pt worse, n 445", draws, unbalanced(gap))
    for seeds_of_rows in ((10, 2), (2, 10, 10), (3, 10, 10, 10)):
        few = min(seeds_of_rows)
        for name, sds in (("sd .5", (0.005, 0.005)), (f"sd 2 with {few} seeds, rest .3", (0.02, 0.003))):
            world = f"{', '.join(map(str, seeds_of_rows))} seeds, {name}"
            yield Cell("F11 level", world, draws, different_numbers(seeds_of_rows, *sds))
    for seeds in (3, 5, 10):
        yield Cell("F12", f"{seeds} × 445", draws, disjoint(seeds))
    yield Cell("F13", "3 × 445", draws, letters)


def deterministic(examples: int, differing: int) -> Callable[[Version, np.random.Generator], Counts]:
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


def classes(examples: int, frequent: bool) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        labels, answers = class_answers(rng, 77, examples, 0.8, frequent=frequent)
        rows = [class_measurements(str(m), labels, given, macro_f1(labels, given)) for m, given in enumerate(answers)]
        return {"called different": float(bool(version.family(rows, "0").better))}

    return count


def unbalanced(gap: float) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        reference, row = draw(rng, [Method(0.945), Method(0.945 - gap)], 10, 445).hits
        rows = [measurements("0", reference[:4], [0, 1, 10, 11]), measurements("1", row, range(10))]
        return {"called different": float(bool(version.family(rows, "0").better))}

    return count


def different_numbers(
    seeds_of_rows: tuple[int, ...], sd_of_few: float, sd: float
) -> Callable[[Version, np.random.Generator], Counts]:
    """The row with the fewest seeds has a standard deviation of its own."""

    def count(version: Version, rng: np.random.Generator) -> Counts:
        few = min(seeds_of_rows)
        methods = [Method(0.945, sd_of_few if seeds == few else sd) for seeds in seeds_of_rows]
        hits = draw(rng, methods, max(seeds_of_rows), 2000).hits
        rows = [measurements(str(m), hits[m, :seeds]) for m, seeds in enumerate(seeds_of_rows)]
        return {"any called different": float(bool(version.family(rows, "0").better))}

    return count


def disjoint(seeds: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = [measurements(name, draw(rng, [Method(0.945)], seeds, 445).hits[0], prefix=name) for name in "01"]
        statements = version.family(rows, "0")
        return {"called different": float(bool(statements.better)), "tested": float(bool(statements.tested))}

    return count


def letters(version: Version, rng: np.random.Generator) -> Counts:
    rows = rows_of(draw(rng, [Method(truth) for truth in (0.95, 0.92, 0.60)], 3, 445))
    groups = version.family(rows, "0").letters
    shared = float(bool(set(groups["1"]) & set(groups["2"]))) if groups else None
    return {".92 and .60 share a letter": shared}
