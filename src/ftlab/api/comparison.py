"""Comparison of runs for Python: as text, as a data frame, and as the files of `ftlab compare`."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftlab import comparison
from ftlab.api.results import StrPath, data_frame
from ftlab.comparison.comparability import parse_allowed
from ftlab.comparison.render.files import write_comparison
from ftlab.comparison.render.markdown import markdown
from ftlab.comparison.render.terminal import terminal_tables
from ftlab.comparison.tables import MEASURES, ComparisonTables, Configuration, Table
from ftlab.core.terminal import Terminal

if TYPE_CHECKING:
    import pandas as pd

_TEXT_WIDTH = 120  # characters


@dataclass(frozen=True, repr=False)
class Comparison:
    """What `ftlab compare` says about some runs: `str` gives its tables and sentences, as a notebook shows them.

    Attributes:
        content: the tables, one for each data set and model, each with its rows, the tests of its first metric
            (`family`) and the runs without a result (`unfinished`); see `ftlab.comparison.tables`.
    """

    content: ComparisonTables

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, such as differences of the rows other than the method."""
        return self.content.warnings

    def to_dataframe(self) -> "pd.DataFrame":
        """Return one line for each row of the tables: a configuration with all its seeds.

        The columns are `dataset`, `model`, `row`, `method`, `seeds` (their number), the mean `test_METRIC` and its
        standard deviation `test_METRIC_sd` over the seeds for each metric, and the means of the cost. The tests of a
        table's first metric add the row's interval (`low`, `high`), its `difference` from the `reference` row with
        `difference_low` and `difference_high`, `p` and, after Holm's correction, `p_adjusted`, how it did
        `against_reference` in words, and `within_margin` the same for the `margin`.
        """
        return data_frame(_values(row, table) for table in self.content.tables for row in table.rows)

    def to_markdown(self) -> str:
        """Return the text of comparison.md."""
        return markdown(self.content)

    def write(self, directory: StrPath) -> list[Path]:
        """Write comparison.md, .csv, .tex, .json and report.html into a folder, and return their paths.

        Args:
            directory: created if it is missing; older files of these names are replaced.
        """
        return write_comparison(self.content, Path(directory).expanduser())

    def __str__(self) -> str:
        console = Terminal(file=StringIO(), width=_TEXT_WIDTH, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(terminal_tables(self.content))
        return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def compare(
    paths: StrPath | Iterable[StrPath],
    *,
    reference: str | None = None,
    margin: str | float | None = None,
    allow: str | Iterable[str] = (),
) -> Comparison:
    """Compare all runs in the given folders; prints and writes nothing.

    Args:
        paths: folders of sweeps or runs, or what `load_sweep`, `load_run`, `sweep` and `run` returned; one or several.
        reference: the method that others are tested against; None: as the sweep declared it, or full, or the first by
            name.
        margin: rows shown to be at most this far behind the best are as good: in the metric's unit, or `1%` of its
            range; None: as the sweep declared it, or 0.01 for metrics between 0 and 1.
        allow: differences with which rows are tested all the same, as of `ftlab compare --allow`: data, base, batch …;
            `unfinished` tests before all declared runs are in.

    Raises:
        UserError: a folder has no run in it or below it, no row is the reference, the margin is not
            possible, or a difference is not known.
    """
    folders = [paths] if isinstance(paths, str | os.PathLike) else paths
    words = [allow] if isinstance(allow, str) else allow
    roots = [Path(folder).expanduser() for folder in folders]
    return Comparison(comparison.compare(roots, reference=reference, margin=margin, allow=parse_allowed(words)))


def _values(row: Configuration, table: Table) -> dict[str, Any]:
    """Return column -> value of a row."""
    values: dict[str, Any] = {
        "dataset": table.dataset,
        "model": table.model,
        "row": row.label,
        "method": row.method,
        "seeds": len(row.runs),
    }
    for column in table.columns:
        scores = row.test(column.metric)
        values[f"test_{column.metric}"] = scores.mean if scores else None
        values[f"test_{column.metric}_sd"] = scores.sd if scores else None
    values |= _tests(row, table)
    for name, measure in MEASURES.items():
        mean = row.over_seeds(measure)
        values[name] = mean.mean if mean else None
    return values


def _tests(row: Configuration, table: Table) -> dict[str, Any]:
    """Return column -> value of what was tested about a row; no columns if nothing was tested."""
    if (family := table.family) is None:
        return {}
    interval = family.intervals.get(row.label)
    contrast = family.contrast_of(row.label)
    difference = contrast.interval if contrast else None
    within = family.within_margin
    statement = within.of(row.label) if within else None
    return {
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "reference": family.reference,
        "against_reference": family.outcome_of(row.label),
        "margin": within.margin if within else None,
        "within_margin": statement.verdict if statement else None,
        "difference": contrast.difference if contrast else None,
        "difference_low": difference.low if difference else None,
        "difference_high": difference.high if difference else None,
        "p": contrast.p if contrast else None,
        "p_adjusted": contrast.adjusted if contrast else None,
    }
