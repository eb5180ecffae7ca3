"""Markdown tables of two measurements of the statements, before and after."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.statement_cells import EXPERIMENTS

Rates = Mapping[str, Mapping[str, Mapping[str, Any]]]  # world -> quantity -> measured
_PER_CENT = 100


def markdown(before: Mapping[str, Rates], after: Mapping[str, Rates]) -> str:
    """Return all tables; each figure is `before → after`, with Monte-Carlo standard errors."""
    lines: list[str] = []
    for experiment, title in EXPERIMENTS.items():
        first, second = before.get(experiment, {}), after.get(experiment, {})
        if first or second:
            lines += ["", f"## {title if experiment == 'margin' else f'{experiment.split()[0]}: {title}'}", ""]
            if experiment == "margin":
                lines += _margin(second)
            else:
                lines += _coverage(first, second) if experiment == "F5" else _table(first, second)
    return "\n".join(lines).strip()


def _table(before: Rates, after: Rates) -> Iterator[str]:
    worlds = list(dict.fromkeys([*before, *after]))
    measured = [rates[world] for rates in (before, after) for world in rates]
    quantities = list(dict.fromkeys(q for rates in measured for q, m in rates.items() if m["draws"]))
    yield f"| world | {' | '.join(quantities)} |"
    yield f"| --- |{' --- |' * len(quantities)}"
    for world in worlds:
        cells = [_both(before.get(world, {}).get(q), after.get(world, {}).get(q), q) for q in quantities]
        yield f"| {world} | {' | '.join(cells)} |"


def _both(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, quantity: str) -> str:
    return f"{_shown(before, quantity)} → {_shown(after, quantity)}"


def _shown(measured: Mapping[str, Any] | None, quantity: str) -> str:
    if not measured or not measured["draws"]:
        return "–"
    if quantity.startswith(("regret", "width,")):
        return f"{measured['mean']:.2f} ± {measured['error']:.2f}"
    return f"{_PER_CENT * measured['mean']:.1f} ± {_PER_CENT * measured['error']:.1f}"


def _margin(after: Rates) -> Iterator[str]:
    """Rows that are called as good or worse, mean over the five; and sweeps with a false statement of either kind."""
    settings = [f"{points} pt, {against}" for points in (1, 2) for against in ("reference", "best")]
    for title, kinds in (
        ("Share of the five rows that are called as good, worse by more than the margin:", ("as good", "worse")),
        ("Sweeps with a false `as good`, a false `worse by more`:", ("falsely as good", "falsely worse")),
    ):
        yield from (title, "", f"| world | {' | '.join(settings)} |", f"| --- |{' --- |' * len(settings)}")
        for world, rates in after.items():
            cells = [", ".join(_shown(rates.get(f"{kind} {of}"), kind) for kind in kinds) for of in settings]
            yield f"| {world} | {' | '.join(cells)} |"
        yield ""


def _coverage(before: Rates, after: Rates) -> Iterator[str]:
    """Means over the accuracies and standard deviations, with the lowest cell; then the same by accuracy."""
    yield "Coverage in %, mean over cells (lowest cell)."
    yield ""
    examples = ("50", "200", "1000", "5000")
    yield f"| seeds | {' | '.join(f'n {n}' for n in examples)} |"
    yield "| --- | --- | --- | --- | --- |"
    for seeds in ("1", "2", "3", "5", "10"):
        cells = [" → ".join(_mean_and_lowest(rates, f"{seeds} × {n},") for rates in (before, after)) for n in examples]
        yield f"| {seeds} | {' | '.join(cells)} |"
    yield ""
    quantities = ("covered", "covers this run's own", "outside [0, 1]", "width 0")
    yield f"| seeds, accuracy | {' | '.join(quantities)} | median width, pt |"
    yield f"| --- |{' --- |' * (len(quantities) + 1)}"
    for seeds in ("1", "2", "3", "5", "10"):
        for accuracy in ("0.5", "0.9", "0.99"):
            picked = [_cells(rates, f"{seeds} ×", f", {accuracy},") for rates in (before, after)]
            shown = [" → ".join(_mean(cells, q) for cells in picked) for q in quantities]
            widths = " → ".join(_median_width(cells) for cells in picked)
            yield f"| {seeds}, {accuracy} | {' | '.join(shown)} | {widths} |"


def _cells(rates: Rates, start: str, part: str = "") -> list[Mapping[str, Any]]:
    return [measured for world, measured in rates.items() if world.startswith(start) and part in world]


def _values(cells: list[Mapping[str, Any]], quantity: str) -> list[tuple[float, float]]:
    return [
        (cell[quantity]["mean"], cell[quantity]["error"]) for cell in cells if cell.get(quantity, {}).get("draws", 0)
    ]


def _mean(cells: list[Mapping[str, Any]], quantity: str) -> str:
    values = _values(cells, quantity)
    if not values:
        return "–"
    mean = sum(value for value, _ in values) / len(values)
    error = sum(error**2 for _, error in values) ** 0.5 / len(values)
    return f"{_PER_CENT * mean:.1f} ± {_PER_CENT * error:.1f}"


def _mean_and_lowest(rates: Rates, start: str) -> str:
    cells = _cells(rates, start)
    values = _values(cells, "covered")
    return f"{_mean(cells, 'covered')} ({_PER_CENT * min(value for value, _ in values):.0f})" if values else "–"


def _median_width(cells: list[Mapping[str, Any]]) -> str:
    values = sorted(value for value, _ in _values(cells, "width, pt"))
    return f"{values[len(values) // 2]:.1f}" if values else "–"
