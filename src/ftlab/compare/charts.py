"""The numbers behind the report's charts, as plain JSON-able data; charts.js draws them."""

from collections.abc import Callable, Sequence
from typing import Any

from ftlab.compare.comparison import Comparison, Configuration, Run, Table
from ftlab.compare.curves import Curve, read_curves
from ftlab.compare.formats import Scale, byte_scale, time_scale
from ftlab.compare.stats import estimate

# Okabe and Ito's colours, safe for every colour vision, without black (lost on a dark page) and yellow (lost on a
# white one); grey closes the circle. The marker is a second, independent sign.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#808890")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")
_DASHES = ("solid", "dash", "dot", "dashdot")  # the configurations of one method
_POINTS = 40_000  # of all curves of a table together: keeps a report of 200 runs small
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
    }
    if table.columns:
        column = table.columns[0]
        data["metric"] = {"label": f"test {column.label}", "higher": column.higher_is_better}
        data["points"] = [
            {"label": row.label, "method": row.method, "value": _measure([run.test(column.metric) for run in row.runs])}
            for row in table.rows
        ]
        data["costs"] = [
            _cost("training time", table.rows, lambda run: run.train_s, time_scale),
            _cost("peak memory", table.rows, lambda run: run.peak_memory_bytes, byte_scale),
            _cost("trainable parameters", table.rows, lambda run: run.trainable),
        ]
    return data


def _cost(
    label: str,
    rows: Sequence[Configuration],
    read: Callable[[Run], float | None],
    choose: Callable[[Sequence[float]], Scale] | None = None,
) -> dict[str, Any]:
    """Return one choice of the horizontal axis: a measure per row, in the unit that the label names."""
    values = [[read(run) for run in row.runs] for row in rows]
    name, factor = label, 1.0
    if choose is not None:
        scale = choose([value for row in values for value in row if value is not None])
        name, factor = f"{label} ({scale.unit})", scale.factor
    return {
        "label": label,
        "axis": name,
        "values": [_measure([None if value is None else value / factor for value in row]) for row in values],
    }


def _measure(values: Sequence[float | None]) -> dict[str, Any] | None:
    found = estimate(values)
    return None if found is None else {"mean": found.mean, "sd": found.sd, "seeds": list(values)}


def _series(table: Table) -> list[str]:
    first = [f"val/{table.columns[0].metric}"] if table.columns else []
    return list(dict.fromkeys([*first, "val/loss", "train/loss"]))


def _curves(table: Table) -> list[dict[str, Any]]:
    names = _series(table)
    runs = table.runs
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
