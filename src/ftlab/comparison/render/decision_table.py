"""Decision table: the method that the runs of each situation favour, by the scarce resource."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ftlab.comparison.advice import Advice, Limits, advise
from ftlab.comparison.build import compare
from ftlab.comparison.formats import MISSING, format_size
from ftlab.comparison.frontier import headline_metric
from ftlab.comparison.hypothesis_tests import family_of_rows
from ftlab.comparison.render.markdown import escape_markdown, markdown_table, shell_block
from ftlab.comparison.render.summary import commands
from ftlab.comparison.stats.estimate import estimate
from ftlab.comparison.tables import Configuration, Table

# scarce resource -> the cost that decides between rows that are as good as the best
_SCARCE = {"time": "time", "memory": "memory", "disk (many tasks)": "size"}
_HEADINGS = ("task", "data · model", "training rows", "rows seen", *(f"scarce: {what}" for what in _SCARCE))


@dataclass(frozen=True)
class Situation:
    """One table of one sweep, with the advice for each scarce resource.

    The same data in another sweep is another situation.
    """

    table: Table
    advice: dict[str, Advice]  # key of `_SCARCE` -> advice
    commands: tuple[str, ...]  # which started the runs

    @property
    def task(self) -> str:
        """Return the task's name."""
        return self.table.runs[0].record.task

    @property
    def train_rows(self) -> int:
        """Return the number of training rows, the largest of any run."""
        return max((run.record.data.rows["train"] for run in self.table.runs if run.record.data), default=0)

    @property
    def examples_seen(self) -> int:
        """Return the number of training examples seen, repetitions included, the largest of any run."""
        return max((run.record.cost.examples_seen for run in self.table.runs if run.record.cost), default=0)


def collect_situations(folders: Sequence[Path], limits: Limits) -> list[Situation]:
    """Return the situations of all folders, sorted by task, data and number of training rows.

    Args:
        folders: of sweeps; each is compared by itself.
        limits: which the advised method must meet, whatever is scarce.

    Raises:
        UserError: see `compare`.
    """
    situations = []
    for folder in folders:
        comparison = compare([folder], margin=limits.margin, allow=limits.allow)
        for table in comparison.tables:
            tested = partial(family_of_rows, table, margin=limits.margin, allow=limits.allow)
            waits = Advice(None, (f"No answer, and {table.untested}",), ()) if table.untested else None
            advice = {
                what: waits or advise(table, replace(limits, prefer=cost), tested) for what, cost in _SCARCE.items()
            }
            situations.append(Situation(table, advice, tuple(commands(comparison))))
    return sorted(situations, key=lambda situation: (situation.task, situation.table.title, situation.train_rows))


def decision_table(situations: Sequence[Situation], directory: Path) -> str:
    """Return the table as Markdown; each cell links to its evidence below, and the evidence links to the runs.

    Args:
        situations: one row each.
        directory: of the text; the records of runs below it are linked.
    """
    body = []
    for number, situation in enumerate(situations, 1):
        methods = [situation.advice[what].method or "no answer" for what in _SCARCE]
        body.append(
            [
                escape_markdown(situation.task),
                escape_markdown(situation.table.title),
                f"{situation.train_rows:,}",
                f"{situation.examples_seen:,}",
                *(f"[{escape_markdown(method)}](#situation-{number})" for method in methods),
            ]
        )
    parts = [
        "# Which method, by what was measured",
        "Of the rows shown to be as good as the best one within the margin, the cheapest in what is scarce; "
        "*no answer* where none is. A line speaks of its own data, model, budget and machine.",
        markdown_table(list(_HEADINGS), body),
    ]
    for number, situation in enumerate(situations, 1):
        parts += _evidence(number, situation, directory)
    return "\n\n".join(parts) + "\n"


def _evidence(number: int, situation: Situation, directory: Path) -> list[str]:
    measure = headline_metric(situation.table)
    headings = [
        "method",
        measure.label if measure else "",
        "95 % interval",
        "training",
        "peak memory",
        "on disk",
        "runs",
    ]
    title = f"{escape_markdown(situation.task)}: {escape_markdown(situation.table.title)}"
    reasons = [
        f"- Scarce {escape_markdown(what)}: {escape_markdown(' '.join(advice.reasons))}"
        for what, advice in situation.advice.items()
    ]
    return [
        f'<a id="situation-{number}"></a>',
        f"## {number}. {title}, {situation.train_rows:,} rows",
        "\n".join(reasons),
        markdown_table(headings, [_evidence_row(situation.table, row, directory) for row in situation.table.rows]),
        shell_block(situation.commands),
    ]


def _evidence_row(table: Table, row: Configuration, directory: Path) -> list[str]:
    measure = headline_metric(table)
    value = row.over_seeds(measure.read) if measure else None
    interval = table.family.intervals.get(row.label) if table.family else None
    return [
        escape_markdown(row.label),
        f"{value.mean:.3f}" if value else MISSING,
        f"{interval.low:.3f} to {interval.high:.3f}" if interval else MISSING,
        _mean([run.train_s for run in row.runs], lambda seconds: f"{seconds:.1f} s"),
        _mean([run.peak_memory_bytes for run in row.runs], format_size),
        _mean([run.adapter_bytes for run in row.runs], format_size),
        ", ".join(_link(run.folder, directory) for run in row.runs),
    ]


def _mean(values: Sequence[float | None], show: Callable[[float], str]) -> str:
    value = estimate(values)
    return show(value.mean) if value else MISSING


def _link(folder: Path, directory: Path) -> str:
    run_folder, root = folder.resolve(), directory.resolve()
    if not run_folder.is_relative_to(root):
        return escape_markdown(folder.name)
    return f"[{escape_markdown(folder.name)}]({run_folder.relative_to(root).as_posix()}/record.json)"
