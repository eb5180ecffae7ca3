"""Cells of the measurement that are about decisions: advice, and statements within a margin."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from benchmarks.statement_cells import POINT, Cell, Counts
from benchmarks.statements_of import Statements, Version, rows_of
from benchmarks.worlds import Method, draw

_NEARLY = 1e-9


def advice_cells(draws: int) -> Iterator[Cell]:
    """F1, F2."""
    evenly = [0.960, 0.954, 0.948, 0.942, 0.936, 0.930]
    for name, truths in ((".960 to .930", evenly), ("five at .950, one at .930", [0.95] * 5 + [0.93])):
        for seeds, examples in ((3, 445), (3, 2000), (5, 2000), (10, 2000)):
            yield Cell("F1", f"{name}, {seeds} × {examples}", draws, regret(truths, seeds, examples))
    for seeds in (3, 5):
        yield Cell("F2", f"collapses in 20 % of its runs, {seeds} × 445", draws, advised_collapse(seeds))
    yield Cell("F2", "2 of its 5 runs failed, 3 × 445", draws, advised_failure)


def regret(truths: Sequence[float], seeds: int, examples: int) -> Callable[[Version, np.random.Generator], Counts]:
    def count(version: Version, rng: np.random.Generator) -> Counts:
        rows = rows_of(draw(rng, [Method(truth) for truth in truths], seeds, examples))
        costs = {row.row: 10.0 * (len(rows) - place) for place, row in enumerate(rows)}
        counts: Counts = {}
        for points in (1, 2):
            advised = version.advised(rows, costs, {}, points * POINT)
            behind = None if advised is None else (max(truths) - truths[int(advised)]) / POINT
            counts[f"no answer ({points} pt)"] = float(advised is None)
            counts[f"> {points} pt below the best"] = float(behind is not None and behind > points + _NEARLY)
            counts[f"regret of an answer, pt ({points} pt)"] = behind
        return counts

    return count


def advised_collapse(seeds: int) -> Callable[[Version, np.random.Generator], Counts]:
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


def advised_failure(version: Version, rng: np.random.Generator) -> Counts:
    sweep = draw(rng, [Method(0.95)] * 6, 3, 445)
    costs = {str(place): 60.0 - 10 * place for place in range(6)}
    advised = version.advised(rows_of(sweep), costs, {"5": 2}, 2 * POINT)
    return {"it is advised": float(advised == "5"), "no answer": float(advised is None)}


def margin_cells(draws: int) -> Iterator[Cell]:
    """Statements within a margin, against the declared reference and against the best."""
    for seeds, examples in ((3, 445), (3, 2000), (10, 445), (10, 2000)):
        for gap in (0.0, 0.005, 0.01, 0.02):
            world = f"five {gap / POINT:g} pt below, {seeds} × {examples}"
            yield Cell("margin", world, draws, within(gap, seeds, examples))
    for seeds, examples in ((3, 2000), (10, 2000)):
        for gap in (0.01, 0.02):
            world = f"five {gap / POINT:g} pt below, {seeds} × {examples}, sd of the best 2, rest .3"
            yield Cell("margin", world, draws, within(gap, seeds, examples, (0.02, 0.003)))


def within(
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
        "falsely as good": float(is_good.any() and gap >= margin - _NEARLY),
        "worse": float(is_worse.mean()),
        "falsely worse": float(is_worse.any() and gap <= margin + _NEARLY),
    }
