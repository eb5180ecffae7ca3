"""The numbers behind the report's charts, as plain JSON-able data; the scripts in page/ draw them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import fmean
from typing import Any

from ftlab.compare.comparison import Comparison, Configuration, Run, Table
from ftlab.compare.curves import Curve, read_curves
from ftlab.compare.examples import classes
from ftlab.compare.formats import Scale, byte_scale, time_scale
from ftlab.compare.stats import estimate
from ftlab.compare.verdict import p_text
from ftlab.record import Cost

# Okabe and Ito's colours, safe for every colour vision, without black (lost on a dark page) and yellow (lost on a
# white one); grey closes the circle. The marker is a second, independent sign.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#808890")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")
_DASHES = ("solid", "dash", "dot", "dashdot")  # the configurations of one method
_POINTS = 40_000  # of all curves of a table together: keeps a report of 200 runs small
_SEARCH = "search"  # for a learning rate: its trials, failed ones included
_PER_CURVE = (40, 300)  # fewest and most


def signs(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Return colour and marker of each method: the same everywhere in the report."""
    methods = sorted({run.record.method for run in comparison.rows})
    return {
        method: {
            "colour": COLOURS[index % len(COLOURS)],
            "marker": MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
        }
        for index, method in enumerate(methods)
    }


def chart_data(comparison: Comparison) -> dict[str, Any]:
    """Return what the charts of every table need."""
    return {"methods": signs(comparison), "tables": [_table(table) for table in comparison.tables]}


def _table(table: Table) -> dict[str, Any]:
    curves = _curves(table)
    drawn = {name for curve in curves for name in curve["series"]}
    data: dict[str, Any] = {
        "title": table.title,
        "metric": None,
        "costs": [],
        "points": [],
        "series": [name for name in _series(table) if name in drawn],
        "curves": curves,
        "times": _times(table),
        "tests": _tests(table),
        "classes": classes(table),
    }
    if table.columns:
        column = table.columns[0]
        data["metric"] = {"label": f"test {column.label}", "higher": column.higher_is_better}
        data["points"] = [
            {
                "label": row.label,
                "method": row.method,
                "value": _measure([run.test(column.metric) for run in row.runs]),
                "interval": _interval(table, row),
            }
            for row in table.rows
        ]
        data["costs"] = [
            _cost("training time", table, lambda run: run.train_s, time_scale),
            _cost("peak memory", table, lambda run: run.peak_memory_bytes, byte_scale),
            _cost("trainable parameters", table, lambda run: run.trainable),
        ]
    return data


def _cost(
    label: str,
    table: Table,
    read: Callable[[Run], float | None],
    choose: Callable[[Sequence[float]], Scale] | None = None,
) -> dict[str, Any]:
    """Return one choice of the horizontal axis: a measure per row, in the unit that the label names."""
    values = [[read(run) for run in row.runs] for row in table.rows]
    name, factor = label, 1.0
    if choose is not None:
        scale = choose([value for row in values for value in row if value is not None])
        name, factor = f"{label} ({scale.unit})", scale.factor
    return {
        "label": label,
        "axis": name,
        "values": [_measure([None if value is None else value / factor for value in row]) for row in values],
        "chances": _chances(table, label, read),
    }


def _chances(table: Table, label: str, read: Callable[[Run], float | None]) -> dict[str, float]:
    """Return row -> share of draws in which no other row beats it in both; empty where nothing was tested."""
    if table.family is None:
        return {}
    from ftlab.compare.frontier import Axis, frontier, headline  # numpy, which the tests have loaded by now

    result = headline(table)
    places = frontier(table, Axis(label, False, read), result) if result else ()
    return {place.row: place.chance for place in places}


def _measure(values: Sequence[float | None]) -> dict[str, Any] | None:
    found = estimate(values)
    return None if found is None else {"mean": found.mean, "sd": found.sd, "seeds": list(values)}


def _interval(table: Table, row: Configuration) -> dict[str, Any] | None:
    family = table.family
    if family is None or not table.columns or family.column.metric != table.columns[0].metric:
        return None
    found = family.intervals.get(row.label)
    return None if found is None else asdict(found)


def _tests(table: Table) -> dict[str, Any] | None:
    """Return the paired differences from the reference row, as far as they have a size."""
    family = table.family
    if family is None or not family.contrasts:
        return None
    methods = {row.label: row.method for row in table.rows}
    return {
        "reference": family.reference,
        "metric": f"test {family.column.label}",
        "higher": family.column.higher_is_better,
        "contrasts": [
            {
                "label": contrast.row,
                "method": methods[contrast.row],
                "difference": contrast.difference,
                "interval": None if contrast.interval is None else asdict(contrast.interval),
                "p": "not tested" if contrast.adjusted is None else p_text(contrast.adjusted),
                "different": contrast.different(family.alpha),
                "test": contrast.test,
                "effect": None if contrast.effect is None else f"{contrast.effect_name} {contrast.effect:.2f}",
                "scope": contrast.scope,
                "note": contrast.note,
            }
            for contrast in family.contrasts
            if contrast.row in methods and isfinite(contrast.difference)
        ],
    }


def _times(table: Table) -> dict[str, Any]:
    """Return where the seconds of each row went, mean over its seeds, and what the search for its rate took."""
    parts: dict[str, Callable[[Cost], float]] = {
        "set-up": lambda cost: cost.setup_s,
        "training": lambda cost: cost.train_s,
        "evaluation": lambda cost: cost.eval_s,
    }
    seconds: list[tuple[Configuration, dict[str, float]]] = []
    for row in table.rows:
        if costs := [run.record.cost for run in row.runs if run.record.cost is not None]:
            of_row = {name: fmean(map(read, costs)) for name, read in parts.items()}
            # The seeds share one search, so it is told once and not per run.
            if searched := [run.tuning_s for run in row.runs if run.tuning_s is not None]:
                of_row[_SEARCH] = max(searched)
            seconds.append((row, of_row))
    scale = time_scale([sum(of_row.values()) for _, of_row in seconds])
    return {
        "unit": scale.unit,
        "parts": [*parts, *([_SEARCH] if any(_SEARCH in of_row for _, of_row in seconds) else [])],
        "rows": [
            {
                "label": row.label,
                "method": row.method,
                "seconds": {name: value / scale.factor for name, value in of_row.items()},
            }
            for row, of_row in seconds
        ],
    }


def _series(table: Table) -> list[str]:
    first = [f"val/{table.columns[0].metric}"] if table.columns else []
    return list(dict.fromkeys([*first, "val/loss", "train/loss"]))


def _curves(table: Table) -> list[dict[str, Any]]:
    names = _series(table)
    runs = table.runs
    seeds = {run.folder for row in table.rows for run in row.runs}
    fewest, most = _PER_CURVE
    points = min(most, max(fewest, _POINTS // max(1, len(runs) * len(names))))
    dashes: dict[str, dict[str, str]] = {}  # method -> configuration -> dash
    data = []
    for run in runs:
        family = dashes.setdefault(run.record.method, {})
        dash = family.setdefault(run.label, _DASHES[len(family) % len(_DASHES)])
        if curves := read_curves(run.folder, names, points):
            data.append(
                {
                    "label": run.label,
                    "method": run.record.method,
                    "seed": run.record.seed,
                    "status": run.record.status,
                    "seeds": run.folder in seeds,  # one of those behind a row: others are drawn for themselves
                    "dash": dash,
                    "series": {name: _rounded(curve) for name, curve in curves.items()},
                }
            )
    return data


def _rounded(curve: Curve) -> dict[str, Any]:
    return {
        "steps": curve.steps,
        "values": [float(f"{value:.5g}") for value in curve.values],
        "seconds": curve.seconds and [round(second, 2) for second in curve.seconds],
    }
