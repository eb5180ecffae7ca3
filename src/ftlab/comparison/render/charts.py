"""Chart data of the report as JSON-serialisable values; the scripts in page/ draw the charts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import fmean
from typing import Any

from ftlab.comparison.curves import Curve, read_curves
from ftlab.comparison.formats import Scale, byte_scale, time_scale
from ftlab.comparison.render.baseline import format_baseline
from ftlab.comparison.render.disagreements import confusion_matrices
from ftlab.comparison.render.findings import p_text
from ftlab.comparison.render.main_table import setting_value, short_row_names
from ftlab.comparison.render.margin_statements import margin_chart_data
from ftlab.comparison.settings import short_names
from ftlab.comparison.stats.estimate import estimate
from ftlab.comparison.tables import ComparedRun, ComparisonTables, Configuration, Table
from ftlab.record import Cost

# Okabe and Ito's colours, which colour-blind readers can tell apart, without black (invisible on a dark page) and
# yellow (invisible on a white one), and with grey as the last. The marker distinguishes methods without colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#808890")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star")
_DASHES = ("solid", "dash", "dot", "dashdot")  # distinguish the configurations of one method
_MAX_POINTS = 40_000  # of all curves of a table together: keeps a report of 200 runs small
_MIN_CURVE_POINTS, _MAX_CURVE_POINTS = 40, 300  # of one curve
_SEARCH = "search"  # of a learning rate: the time of all trials, failed ones included


def method_styles(comparison: ComparisonTables) -> dict[str, dict[str, str]]:
    """Return method -> colour and marker, the same in all parts of the report."""
    methods = sorted({run.record.method for run in comparison.runs})
    return {
        method: {
            "colour": COLOURS[index % len(COLOURS)],
            "marker": MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
        }
        for index, method in enumerate(methods)
    }


def chart_data(comparison: ComparisonTables) -> dict[str, Any]:
    """Return the data for the charts of all tables."""
    return {"methods": method_styles(comparison), "tables": [_table_data(table) for table in comparison.tables]}


def _table_data(table: Table) -> dict[str, Any]:
    names = short_row_names(table)
    curves = _curves(table, names)
    # a point alone is no curve: it is in the table
    available = {name for curve in curves for name, line in curve["series"].items() if len(line["steps"]) > 1}
    data: dict[str, Any] = {
        "title": table.title,
        "metric": None,
        "baseline": _baseline(table),
        "costs": [],
        "points": [],
        "series": [name for name in _series_names(table) if name in available],
        "curves": curves,
        "times": _time_breakdown(table, names),
        "margin": margin_chart_data(table, names),
        "tests": _tests(table, names),
        "classes": confusion_matrices(table, names),
    }
    if table.columns:
        column = table.columns[0]
        data["metric"] = {"label": f"test {column.label}", "higher": column.higher_is_better}
        data["points"] = [
            {
                "label": names[row.label],
                "method": row.method,
                "value": _mean_and_seeds([run.test(column.metric) for run in row.runs]),
                "interval": _interval(table, row),
            }
            for row in table.rows
        ]
        data["costs"] = [
            _cost_axis("training time", table, names, lambda run: run.train_s, time_scale),
            _cost_axis("peak memory", table, names, lambda run: run.peak_memory_bytes, byte_scale),
            _cost_axis("trainable parameters", table, names, lambda run: run.trainable),
            *_setting_axes(table),
        ]
    return data


def _cost_axis(
    label: str,
    table: Table,
    names: Mapping[str, str],
    read: Callable[[ComparedRun], float | None],
    choose_scale: Callable[[Sequence[float]], Scale] | None = None,
) -> dict[str, Any]:
    """Return one option for the horizontal axis: the values of each row, in the unit of the axis title."""
    values = [[read(run) for run in row.runs] for row in table.rows]
    title, factor = label, 1.0
    if choose_scale is not None:
        scale = choose_scale([value for row in values for value in row if value is not None])
        title, factor = f"{label} ({scale.unit})", scale.factor
    return {
        "label": label,
        "axis": title,
        "values": [_mean_and_seeds([None if value is None else value / factor for value in row]) for row in values],
        "chances": {names[row]: chance for row, chance in _front_chances(table, label, read).items()},
        "lines": None,
    }


def _setting_axes(table: Table) -> list[dict[str, Any]]:
    """Return an option for the horizontal axis for each varied setting with two numbers.

    A setting is no cost, so there is no front: `lines` names, for each row, the line through the rows that differ from
    it in nothing else.
    """
    axes = []
    for key, name in zip(table.varied_settings, short_names(table.varied_settings), strict=True):
        numbers = [setting_value(row.runs[0], key).value for row in table.rows]
        if len({number for number in numbers if number is not None}) > 1:
            values = [
                None if number is None else _mean_and_seeds([number] * len(row.runs))
                for row, number in zip(table.rows, numbers, strict=True)
            ]
            lines = [
                " ".join([row.method, *(f"{other}={text}" for other, text in row.settings.items() if other != key)])
                for row in table.rows
            ]
            axes.append({"label": name, "axis": key, "values": values, "chances": {}, "lines": lines})
    return axes


def _front_chances(table: Table, label: str, read: Callable[[ComparedRun], float | None]) -> dict[str, float]:
    """Return row -> fraction of draws in which it is on the Pareto front; empty if nothing was tested."""
    if table.family is None:
        return {}
    from ftlab.comparison.frontier import Measure, frontier, headline_metric  # imports numpy, as the tests already have

    result = headline_metric(table)
    points = frontier(table, Measure(label, False, read), result) if result else ()
    return {point.row: point.front_probability for point in points}


def _mean_and_seeds(values: Sequence[float | None]) -> dict[str, Any] | None:
    """Return mean, standard deviation and each seed's value; None if no seed has one."""
    summary = estimate(values)
    return None if summary is None else {"mean": summary.mean, "sd": summary.sd, "seeds": list(values)}


def _interval(table: Table, row: Configuration) -> dict[str, Any] | None:
    family = table.family
    if family is None or not table.columns or family.column.metric != table.columns[0].metric:
        return None
    interval = family.intervals.get(row.label)
    return None if interval is None else asdict(interval)


def _baseline(table: Table) -> dict[str, Any] | None:
    baseline = table.baseline
    if baseline is None or baseline.column != table.columns[0]:
        return None
    return {"label": f"always {baseline.answer}", "value": baseline.value, "text": format_baseline(baseline)}


def _tests(table: Table, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the paired differences from the reference row that are finite."""
    family = table.family
    if family is None or not family.contrasts:
        return None
    methods = {row.label: row.method for row in table.rows}
    return {
        "reference": names[family.reference],
        "metric": f"test {family.column.label}",
        "higher": family.column.higher_is_better,
        "contrasts": [
            {
                "label": names[contrast.row],
                "method": methods[contrast.row],
                "difference": contrast.difference,
                "interval": None if contrast.interval is None else asdict(contrast.interval),
                "p": "not tested" if contrast.adjusted is None else p_text(contrast.adjusted),
                "different": contrast.is_significant(family.alpha),
                "test": contrast.test,
                "effect": None if contrast.effect is None else f"{contrast.effect_name} {contrast.effect:.2f}",
                "scope": contrast.scope,
                "note": contrast.note,
            }
            for contrast in family.contrasts
            if contrast.row in methods and isfinite(contrast.difference)
        ],
    }


def _time_breakdown(table: Table, names: Mapping[str, str]) -> dict[str, Any]:
    """Return each row's seconds per phase, mean over its seeds, and the seconds of its learning-rate search."""
    parts: dict[str, Callable[[Cost], float]] = {
        "set-up": lambda cost: cost.setup_s,
        "training": lambda cost: cost.train_s,
        "evaluation": lambda cost: cost.eval_s,
    }
    seconds: list[tuple[Configuration, dict[str, float]]] = []
    for row in table.rows:
        if costs := [run.record.cost for run in row.runs if run.record.cost is not None]:
            row_seconds = {name: fmean(map(read, costs)) for name, read in parts.items()}
            # The seeds share one search, so it counts once per row and not per run.
            if search_times := [run.tuning_s for run in row.runs if run.tuning_s is not None]:
                row_seconds[_SEARCH] = max(search_times)
            seconds.append((row, row_seconds))
    scale = time_scale([sum(row_seconds.values()) for _, row_seconds in seconds])
    return {
        "unit": scale.unit,
        "parts": [*parts, *([_SEARCH] if any(_SEARCH in row_seconds for _, row_seconds in seconds) else [])],
        "rows": [
            {
                "label": names[row.label],
                "method": row.method,
                "seconds": {name: value / scale.factor for name, value in row_seconds.items()},
            }
            for row, row_seconds in seconds
        ],
    }


def _series_names(table: Table) -> list[str]:
    """Return the logged metrics that are drawn: the first headline metric and the losses."""
    first = [f"val/{table.columns[0].metric}"] if table.columns else []
    return list(dict.fromkeys([*first, "val/loss", "train/loss"]))


def _curves(table: Table, names: Mapping[str, str]) -> list[dict[str, Any]]:
    series = _series_names(table)
    runs = table.runs
    folders_of_rows = {run.folder for row in table.rows for run in row.runs}
    points = _MAX_POINTS // max(1, len(runs) * len(series))
    points = min(_MAX_CURVE_POINTS, max(_MIN_CURVE_POINTS, points))
    dashes: dict[str, dict[str, str]] = {}  # method -> configuration -> dash
    data = []
    for run in runs:
        method_dashes = dashes.setdefault(run.record.method, {})
        dash = method_dashes.setdefault(run.label, _DASHES[len(method_dashes) % len(_DASHES)])
        if curves := read_curves(run.folder, series, points):
            data.append(
                {
                    "label": names[run.label],
                    "method": run.record.method,
                    "seed": run.record.seed,
                    "status": run.record.status,
                    "seeds": run.folder in folders_of_rows,  # drawn together with the row's other seeds
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
