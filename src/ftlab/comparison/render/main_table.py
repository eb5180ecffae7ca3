"""Main table of a comparison as text cells, shared by terminal, Markdown, LaTeX and HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

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
from ftlab.comparison.stats.inference import Family
from ftlab.comparison.tables import ComparedRun, Configuration, Table


@dataclass(frozen=True)
class Cell:
    """Text of one cell, and its number as the sort key; None if it has none."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Line:
    """One row: a configuration with its result, or a run without one."""

    method: str
    settings: str  # the options in which it differs from the method's other rows; may be empty
    marks: tuple[int, ...]  # numbers of the warnings about this row
    cells: tuple[Cell, ...]
    run: ComparedRun | None = None  # the run without a result; None for a configuration

    @property
    def label(self) -> str:
        """Return the row's whole name on one line, with the numbers of the warnings about it."""
        return " ".join(part for part in (self.method, self.settings, *(f"[{mark}]" for mark in self.marks)) if part)


@dataclass(frozen=True)
class MainTable:
    """Headings and rows of one table; the first heading is the method, the last the status."""

    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    caption: str


def main_table(table: Table) -> MainTable:
    """Return the table as text cells, with units and digits chosen per column."""
    columns: list[tuple[str, list[Cell]]] = []
    for column in table.columns:
        read = partial(ComparedRun.test, name=column.metric)
        heading, cells = metric_column(f"test {column.label}", table.rows, read, metric_scale)
        if table.family is not None and column.metric == table.family.column.metric:
            cells = _with_intervals(table, table.family, cells)
        columns.append((heading, cells))
    if table.family is not None and table.family.letters:
        letters = table.family.letters
        columns.append(("groups", [Cell(letters.get(row.label, MISSING)) for row in table.rows]))
    columns.append(("trainable parameters", [_parameters_cell(row) for row in table.rows]))
    columns.append(metric_column("training time", table.rows, lambda run: run.train_s, time_scale))
    columns.append(metric_column("examples/s", table.rows, lambda run: run.examples_per_s, plain_scale))
    columns.append(metric_column("peak memory", table.rows, lambda run: run.peak_memory_bytes, byte_scale))
    columns.append(("adapter on disk", [_adapter_cell(row) for row in table.rows]))
    if table.seeds > 1:
        columns.append(("seeds", [Cell(str(len(row.runs)), len(row.runs)) for row in table.rows]))
    columns.append(("status", [Cell(_status(row)) for row in table.rows]))
    lines = [
        Line(row.method, row.label_suffix, row.marks, tuple(cells[index] for _, cells in columns))
        for index, row in enumerate(table.rows)
    ]
    several_seeds = len({run.record.seed for run in table.runs}) > 1
    for run in table.unfinished:
        settings = f"{run.label_suffix} (seed {run.record.seed})".strip() if several_seeds else run.label_suffix
        empty = (Cell(MISSING),) * (len(columns) - 1)
        lines.append(Line(run.record.method, settings, (), (*empty, Cell(run.outcome)), run))
    return MainTable(("method", *(heading for heading, _ in columns)), tuple(lines), caption(table))


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
        metrics = (run.record.test_metric(first.metric) for row in table.rows for run in row.runs)
        sizes = sorted({metric.n for metric in metrics if metric is not None})
        if sizes:
            sentences.append(
                f"Test n = {' or '.join(f'{n:,}' for n in sizes)} (examples; tokens or entities for metrics of those)."
            )
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
    if any(row.marks for row in table.rows):
        sentences.append("Numbers in brackets: warnings below.")
    return " ".join(sentences)


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
    if family.letters:
        sentences.append("Rows that share a letter (groups) were not told apart, which does not make them equal.")
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
