"""The decision table: for each measured situation, which method the runs speak for, by what is scarce."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ftlab.compare.advice import Advice, Limits, advise
from ftlab.compare.comparison import Configuration, Table
from ftlab.compare.families import family_of
from ftlab.compare.formats import MISSING, size
from ftlab.compare.frontier import headline
from ftlab.compare.grouping import compare
from ftlab.compare.markdown import escape, grid, shell
from ftlab.compare.stats import estimate
from ftlab.compare.summary import commands

# what is scarce -> the cost that decides between rows that were not told apart
_SCARCE = {"time": "time", "memory": "memory", "disk (many tasks)": "size"}
_HEADINGS = ("task", "data · model", "training rows", "rows seen", *(f"scarce: {what}" for what in _SCARCE))


@dataclass(frozen=True)
class Situation:
    """A table of one sweep, and the advice it gives for each cost; the same data in another sweep is another one."""

    table: Table
    advice: dict[str, Advice]  # a key of `_SCARCE` -> the advice
    commands: tuple[str, ...]  # that made the runs

    @property
    def task(self) -> str:
        """Return the kind of task."""
        return self.table.runs[0].record.task

    @property
    def rows(self) -> int:
        """Return how many training rows there are, the most of any run."""
        return max((run.record.data.rows["train"] for run in self.table.runs if run.record.data), default=0)

    @property
    def seen(self) -> int:
        """Return how many training rows went through the model, repetitions counted, the most of any run."""
        return max((run.record.cost.examples_seen for run in self.table.runs if run.record.cost), default=0)


def situations(folders: Sequence[Path], limits: Limits, allow: Collection[str] = ()) -> list[Situation]:
    """Return what each folder's runs say, by task, data and number of training rows.

    Args:
        folders: of sweeps; each is compared by itself.
        limits: what an answer must keep to, whatever is scarce.
        allow: see `compare`.

    Raises:
        UserError: see `compare`.
    """
    found = []
    for folder in folders:
        comparison = compare([folder], allow=allow)
        for table in comparison.tables:
            tested = partial(family_of, table, allow=allow)
            advice = {what: advise(table, replace(limits, prefer=cost), tested) for what, cost in _SCARCE.items()}
            found.append(Situation(table, advice, tuple(commands(comparison))))
    return sorted(found, key=lambda one: (one.task, one.table.title, one.rows))


def decision_table(found: Sequence[Situation], directory: Path) -> str:
    """Return the table as Markdown, each cell linked to its evidence below, and that to the runs.

    Args:
        found: what was measured.
        directory: where the text will lie; runs below it are links.
    """
    body = [
        [
            escape(one.task),
            escape(one.table.title),
            f"{one.rows:,}",
            f"{one.seen:,}",
            *(f"[{escape(one.advice[what].method or 'no answer')}](#situation-{number})" for what in _SCARCE),
        ]
        for number, one in enumerate(found, 1)
    ]
    parts = [
        "# Which method, by what was measured",
        "Of the rows not told apart from the best one, the cheapest in what is scarce; *no answer* where the evidence "
        "is thin. A line speaks of its own data, model, budget and machine.",
        grid(list(_HEADINGS), body),
    ]
    for number, one in enumerate(found, 1):
        parts += _evidence(number, one, directory)
    return "\n\n".join(parts) + "\n"


def _evidence(number: int, one: Situation, directory: Path) -> list[str]:
    measure = headline(one.table)
    headings = [
        "method",
        measure.label if measure else "",
        "95 % interval",
        "training",
        "peak memory",
        "on disk",
        "runs",
    ]
    reasons = [f"- Scarce {escape(what)}: {escape(' '.join(advice.reasons))}" for what, advice in one.advice.items()]
    return [
        f'<a id="situation-{number}"></a>',
        f"## {number}. {escape(one.task)}: {escape(one.table.title)}, {one.rows:,} rows",
        "\n".join(reasons),
        grid(headings, [_line(one.table, row, directory) for row in one.table.rows]),
        shell(one.commands),
    ]


def _line(table: Table, row: Configuration, directory: Path) -> list[str]:
    measure = headline(table)
    value = estimate([measure.read(run) for run in row.runs]) if measure else None
    interval = table.family.intervals.get(row.label) if table.family else None
    return [
        escape(row.label),
        f"{value.mean:.3f}" if value else MISSING,
        f"{interval.low:.3f} to {interval.high:.3f}" if interval else MISSING,
        _mean([run.train_s for run in row.runs], lambda seconds: f"{seconds:.1f} s"),
        _mean([run.peak_memory_bytes for run in row.runs], size),
        _mean([run.adapter_bytes for run in row.runs], size),
        ", ".join(_link(run.folder, directory) for run in row.runs),
    ]


def _mean(values: Sequence[float | None], show: Callable[[float], str]) -> str:
    found = estimate(values)
    return show(found.mean) if found else MISSING


def _link(folder: Path, directory: Path) -> str:
    here, root = folder.resolve(), directory.resolve()
    if not here.is_relative_to(root):
        return escape(folder.name)
    return f"[{escape(folder.name)}]({here.relative_to(root).as_posix()}/record.json)"
