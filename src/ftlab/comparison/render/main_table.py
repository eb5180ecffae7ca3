"""Main table of a comparison as text cells, shared by terminal, Markdown, LaTeX and HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from ftlab.comparison.formats import (
    MISSING,
    Scale,
    byte_scale,
    format_count,
    format_percent,
    format_size,
    metric_scale,
    plain_scale,
    time_scale,
)
from ftlab.comparison.render.baseline import baseline_notes
from ftlab.comparison.render.margin_statements import margin_heading, margin_text
from ftlab.comparison.render.training_plans import training_plans
from ftlab.comparison.settings import setting_text, short_names
from ftlab.comparison.stats.inference import Family
from ftlab.comparison.tables import ComparedRun, Configuration, Table
from ftlab.comparison.tuning import SEARCHED_SETTING


@dataclass(frozen=True)
class Cell:
    """Text of one cell, and its number as the sort key; None if it has none."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Line:
    """One row: a configuration with its result, or a run without one."""

    method: str
    name: str  # the method with the settings that tell it from the method's other rows: `lora lr=0.001`
    seed: str  # of a run without a result where seeds differ, such as `(seed 0)`; else empty
    marks: tuple[int, ...]  # numbers of the warnings about this row
    cells: tuple[Cell, ...]
    run: ComparedRun | None = None  # the run without a result; None for a configuration

    @property
    def label(self) -> str:
        """Return the row's name beside the columns of its settings, with the numbers of the warnings about it."""
        return " ".join(part for part in (self.method, self.seed, *(f"[{mark}]" for mark in self.marks)) if part)

    @property
    def full_label(self) -> str:
        """Return the row's name with its settings, for where their columns are not."""
        return f"{self.name}{self.label.removeprefix(self.method)}"


@dataclass(frozen=True)
class MainTable:
    """Headings and rows of one table; the first heading is the method, the last the status.

    Attributes:
        headings: one more than a line has cells.
        lines: the rows.
        head: on what the rows were trained and for how long; may be empty.
        caption: what the reader has to know.
        settings: number of headings after the first that are settings in which rows of one method differ.
    """

    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    head: str
    caption: str
    settings: int


def main_table(table: Table) -> MainTable:
    """Return the table as text cells, with units and digits chosen per column."""
    settings = table.varied_settings
    names = dict(zip(settings, short_names(settings), strict=True))
    columns = [(name, [setting_value(row.runs[0], key) for row in table.rows]) for key, name in names.items()]
    for column in table.columns:
        read = partial(ComparedRun.test, name=column.metric)
        heading, cells = metric_column(f"test {column.label}", table.rows, read, metric_scale)
        if table.family is not None and column.metric == table.family.column.metric:
            cells = _with_intervals(table, table.family, cells)
        columns.append((heading, cells))
    if table.family is not None:
        columns += _test_columns(table, table.family)
    columns.append(("trainable parameters", [_parameters_cell(row) for row in table.rows]))
    columns.append(metric_column("training time", table.rows, lambda run: run.train_s, time_scale))
    columns.append(metric_column("examples/s", table.rows, lambda run: run.examples_per_s, plain_scale))
    columns.append(metric_column("peak memory", table.rows, lambda run: run.peak_memory_bytes, byte_scale))
    columns.append(("adapter on disk", [_adapter_cell(row) for row in table.rows]))
    if table.seeds > 1:
        columns.append(("seeds", [Cell(str(len(row.runs)), len(row.runs)) for row in table.rows]))
    columns.append(("status", [Cell(_status(row)) for row in table.rows]))
    row_names = short_row_names(table)
    lines = [
        Line(row.method, row_names[row.label], "", row.marks, tuple(cells[index] for _, cells in columns))
        for index, row in enumerate(table.rows)
    ]
    several_seeds = len({run.record.seed for run in table.runs}) > 1
    for run in table.unfinished:
        seed = f"(seed {run.record.seed})" if several_seeds else ""
        cells = [setting_value(run, key) for key in settings]
        empty = (Cell(MISSING),) * (len(columns) - len(settings) - 1)
        lines.append(Line(run.record.method, row_names[run.label], seed, (), (*cells, *empty, Cell(run.outcome)), run))
    return MainTable(
        ("method", *(heading for heading, _ in columns)),
        tuple(lines),
        training_plans(table),
        caption(table),
        len(settings),
    )


def _test_columns(table: Table, family: Family) -> list[tuple[str, list[Cell]]]:
    """Return the columns that say how each row did against the reference, and within the margin."""
    names, columns = short_row_names(table), []
    if any(contrast.adjusted is not None for contrast in family.contrasts):
        outcomes = [
            "reference" if row.label == family.reference else family.outcome_of(row.label) for row in table.rows
        ]
        columns.append((f"against {names[family.reference]}", [Cell(outcome or MISSING) for outcome in outcomes]))
    within = family.within_margin
    if within is not None and within.any_tested:
        cells = [Cell(margin_text(within, row.label) or MISSING) for row in table.rows]
        columns.append((margin_heading(within, names), cells))
    return columns


def short_row_names(table: Table) -> dict[str, str]:
    """Return the label of each run -> the same with the last parts of its settings' names, for where space is short."""
    settings = table.varied_settings
    names = dict(zip(settings, short_names(settings), strict=True))
    return {
        run.label: " ".join([run.record.method, *(f"{names[key]}={text}" for key, text in run.settings.items())])
        for run in table.runs
    }


def setting_value(run: ComparedRun, key: str) -> Cell:
    """Return a setting as a cell; a number sorts as one."""
    text = run.settings.get(key) or setting_text(run.record, key)
    if key == SEARCHED_SETTING and text == "null":  # of a method that trains nothing
        return Cell(MISSING)
    return Cell(MISSING) if text is None else Cell(text, finite_number(text))


def finite_number(text: str) -> float | None:
    """Return the number that a text spells; None if it spells none, or one without a place on an axis."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def metric_column(
    heading: str,
    rows: Sequence[Configuration],
    read: Callable[[ComparedRun], float | None],
    choose_scale: Callable[[Sequence[float]], Scale],
) -> tuple[str, list[Cell]]:
    """Return heading and cells of a column: mean and standard deviation over the seeds, the unit in the heading."""
    values = [row.over_seeds(read) for row in rows]
    scale = choose_scale([value.mean for value in values if value is not None])
    cells = [Cell(scale.format(value), None if value is None else value.mean) for value in values]
    return (f"{heading} ({scale.unit})" if scale.unit else heading), cells


def caption(table: Table) -> str:
    """Return the caption, which explains the table's order, test set and seeds."""
    if not table.rows:
        return "No run completed."
    sentences = []
    if table.columns:
        first = table.columns[0]
        better = "highest" if first.higher_is_better else "lowest"
        sentences.append(f"Sorted by test {first.label}, {better} first; the order is no ranking.")
        if sizes := _test_sizes(table):
            sentences.append(f"Test n = {sizes} (examples; tokens or entities for metrics of those).")
    seed_counts = sorted({len(row.runs) for row in table.rows})
    if seed_counts == [1]:
        sentences.append("1 seed: one seed per method cannot separate methods that are near each other.")
    else:
        several = f"{seed_counts[0]}" if len(seed_counts) == 1 else f"{seed_counts[0]} to {seed_counts[-1]}"
        sentences.append(
            f"Mean ± sample standard deviation over {several} seeds (column seeds): how far single runs scatter, "
            "not how sure the mean is."
        )
        if seed_counts[0] == 1:
            sentences.append("Rows with 1 seed show its value alone.")
    if table.family is not None:
        sentences += _test_notes(table.family)
    sentences += baseline_notes(table)
    if any(row.marks for row in table.rows):
        sentences.append("Numbers in brackets: warnings below.")
    return " ".join(sentences)


def _test_sizes(table: Table) -> str:
    """Return the number of examples behind each test metric; metrics with equal numbers are named together."""
    labels_by_size: dict[str, list[str]] = {}
    for column in table.columns:
        metrics = [(run, run.record.test_metric(column.metric)) for row in table.rows for run in row.runs]
        # a run of another tool has no data, and may not tell the number
        sizes = {metric.n for run, metric in metrics if metric is not None and (metric.n or run.record.data)}
        if sizes:
            labels_by_size.setdefault(" or ".join(f"{n:,}" for n in sorted(sizes)), []).append(column.label)
    if len(labels_by_size) < 2:
        return "".join(labels_by_size)
    return "; ".join(f"{size} for {', '.join(labels)}" for size, labels in labels_by_size.items())


def _with_intervals(table: Table, family: Family, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells with the confidence interval instead of the standard deviation, where there is an interval."""
    scale = metric_scale([cell.value for cell in cells if cell.value is not None])
    new_cells = []
    for row, cell in zip(table.rows, cells, strict=True):
        interval = family.intervals.get(row.label)
        if interval is None or cell.value is None:
            new_cells.append(cell)
            continue
        mean, low, high = (f"{value:.{scale.decimals}f}" for value in (cell.value, interval.low, interval.high))
        new_cells.append(Cell(f"{mean} [{low}, {high}]", cell.value))
    return new_cells


def _test_notes(family: Family) -> list[str]:
    """Return sentences that explain the intervals in brackets and the group letters."""
    sentences = []
    if family.intervals:
        levels = " or ".join(f"{100 * level:.3g}" for level in sorted({i.level for i in family.intervals.values()}))
        sources = " or ".join(dict.fromkeys(interval.source for interval in family.intervals.values()))
        sentences.append(f"[low, high] after test {family.column.label}: {levels} % interval ({sources}).")
        if any(source.startswith("t over 2 seeds") for source in sources.split(" or ")):
            sentences.append("An interval from 2 seeds says next to nothing; 3 or more make it useful.")
    if any(contrast.adjusted is not None for contrast in family.contrasts):
        sentences.append("Not told apart does not mean equal; as good within the margin does, up to the margin.")
    return [*sentences, *family.notes]


def _parameters_cell(row: Configuration) -> Cell:
    parameters = next((run.record.parameters for run in row.runs if run.record.parameters is not None), None)
    if parameters is None:
        return Cell(MISSING)
    trainable, total = parameters.trainable, parameters.total  # the same for every seed
    return Cell(
        f"{format_count(trainable)} ({format_percent(trainable, total)})" if total else format_count(trainable),
        trainable,
    )


def _adapter_cell(row: Configuration) -> Cell:
    mean = row.over_seeds(lambda run: run.adapter_bytes)
    return Cell(MISSING) if mean is None else Cell(format_size(mean.mean), mean.mean)


def _status(row: Configuration) -> str:
    return "; ".join(dict.fromkeys(run.outcome for run in row.runs))
