"""The content of a comparison table, the same for terminal, Markdown and HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ftlab.compare.comparison import Configuration, Run, Table
from ftlab.compare.formats import (
    MISSING,
    Scale,
    byte_scale,
    count,
    metric_scale,
    plain_scale,
    share,
    size,
    time_scale,
)
from ftlab.compare.inference import Family
from ftlab.compare.stats import estimate
from ftlab.record import Parameters


@dataclass(frozen=True)
class Cell:
    """What one cell shows, and the number behind it, by which it sorts."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Line:
    """One row: a configuration with its result, or a run that gave none."""

    method: str
    settings: str  # what tells it apart from the method's other rows; may be empty
    marks: tuple[int, ...]
    cells: tuple[Cell, ...]
    run: Run | None = None  # the run without a result

    @property
    def label(self) -> str:
        """Return the whole name in one line, with the numbers of the warnings that concern it."""
        return " ".join(part for part in (self.method, self.settings, *(f"[{mark}]" for mark in self.marks)) if part)


@dataclass(frozen=True)
class Sheet:
    """Headings and rows of one table; the first heading is the method, the last the status."""

    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    caption: str


def sheet(table: Table) -> Sheet:
    """Return the table as text cells, units and digits chosen per column."""
    columns: list[tuple[str, list[Cell]]] = []
    for column in table.columns:
        read = partial(Run.test, name=column.metric)
        heading, cells = measured(f"test {column.label}", table.rows, read, metric_scale)
        if table.family is not None and column.metric == table.family.column.metric:
            cells = _with_intervals(table, table.family, cells)
        columns.append((heading, cells))
    if table.family is not None and table.family.letters:
        letters = table.family.letters
        columns.append(("groups", [Cell(letters.get(row.label, MISSING)) for row in table.rows]))
    columns.append(("trainable parameters", [_parameters(row) for row in table.rows]))
    columns.append(measured("training time", table.rows, lambda run: run.train_s, time_scale))
    columns.append(measured("examples/s", table.rows, lambda run: run.examples_per_s, plain_scale))
    columns.append(measured("peak memory", table.rows, lambda run: run.peak_memory_bytes, byte_scale))
    columns.append(("adapter on disk", [_adapter(row) for row in table.rows]))
    if table.seeds > 1:
        columns.append(("seeds", [Cell(str(len(row.runs)), len(row.runs)) for row in table.rows]))
    columns.append(("status", [Cell(_status(row)) for row in table.rows]))
    lines = [
        Line(row.method, row.settings, row.marks, tuple(cells[index] for _, cells in columns))
        for index, row in enumerate(table.rows)
    ]
    several = len({run.record.seed for run in table.runs}) > 1
    for run in table.unfinished:
        settings = f"{run.settings} (seed {run.record.seed})".strip() if several else run.settings
        empty = (Cell(MISSING),) * (len(columns) - 1)
        lines.append(Line(run.record.method, settings, (), (*empty, Cell(run.outcome)), run))
    return Sheet(("method", *(heading for heading, _ in columns)), tuple(lines), caption(table))


def measured(
    heading: str,
    rows: Sequence[Configuration],
    read: Callable[[Run], float | None],
    choose: Callable[[Sequence[float]], Scale],
) -> tuple[str, list[Cell]]:
    """Return a column of means over the seeds and their spreads, with its unit in the heading."""
    values = [estimate([read(run) for run in row.runs]) for row in rows]
    scale = choose([value.mean for value in values if value is not None])
    cells = [Cell(scale.show(value), None if value is None else value.mean) for value in values]
    return (f"{heading} ({scale.unit})" if scale.unit else heading), cells


def caption(table: Table) -> str:
    """Return what a reader must know to read the table: its order, its test set, its seeds."""
    if not table.rows:
        return "No run completed."
    sentences = []
    if table.columns:
        first = table.columns[0]
        better = "highest" if first.higher_is_better else "lowest"
        sentences.append(f"Sorted by test {first.label}, {better} first; the order is no ranking.")
        measured = (run.record.test_metric(first.metric) for row in table.rows for run in row.runs)
        sizes = sorted({metric.n for metric in measured if metric is not None})
        if sizes:
            sentences.append(
                f"Test n = {' or '.join(f'{n:,}' for n in sizes)} (examples; tokens or entities for metrics of those)."
            )
    counts = sorted({len(row.runs) for row in table.rows})
    if counts == [1]:
        sentences.append("1 seed: one seed per method cannot separate methods that are near each other.")
    else:
        several = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        sentences.append(
            f"Mean ± sample standard deviation over {several} seeds (column seeds): how far single runs scatter, "
            "not how sure the mean is."
        )
        if counts[0] == 1:
            sentences.append("Rows with 1 seed show its value alone.")
    if table.family is not None:
        sentences += _tests(table.family)
    if any(row.marks for row in table.rows):
        sentences.append("Numbers in brackets: warnings below.")
    return " ".join(sentences)


def _with_intervals(table: Table, family: Family, cells: Sequence[Cell]) -> list[Cell]:
    """Show the mean with its interval in place of the spread of the seeds, where there is one."""
    scale = metric_scale([cell.value for cell in cells if cell.value is not None])
    shown = []
    for row, cell in zip(table.rows, cells, strict=True):
        interval = family.intervals.get(row.label)
        if interval is None or cell.value is None:
            shown.append(cell)
            continue
        number = f"{cell.value:.{scale.decimals}f}"
        ends = f"{interval.low:.{scale.decimals}f}, {interval.high:.{scale.decimals}f}"
        shown.append(Cell(f"{number} [{ends}]", cell.value))
    return shown


def _tests(family: Family) -> list[str]:
    """Return what the brackets and the letters mean."""
    sentences = []
    if family.intervals:
        levels = " or ".join(f"{100 * level:.3g}" for level in sorted({i.level for i in family.intervals.values()}))
        sources = " or ".join(dict.fromkeys(interval.source for interval in family.intervals.values()))
        sentences.append(f"[low, high] after test {family.column.label}: {levels} % interval ({sources}).")
    if family.letters:
        sentences.append("Rows that share a letter (groups) were not told apart, which does not make them equal.")
    return [*sentences, *family.notes]


def _parameters(row: Configuration) -> Cell:
    known: list[Parameters] = [run.record.parameters for run in row.runs if run.record.parameters is not None]
    if not known:
        return Cell(MISSING)
    trainable, total = known[0].trainable, known[0].total  # the seed changes no shape
    return Cell(f"{count(trainable)} ({share(trainable, total)})" if total else count(trainable), trainable)


def _adapter(row: Configuration) -> Cell:
    mean = estimate([run.adapter_bytes for run in row.runs])
    return Cell(MISSING) if mean is None else Cell(size(mean.mean), mean.mean)


def _status(row: Configuration) -> str:
    return "; ".join(dict.fromkeys(run.outcome for run in row.runs))
