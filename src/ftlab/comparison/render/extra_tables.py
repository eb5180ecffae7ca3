"""Extra tables of a comparison: robustness, slices of the test split, and estimated against measured cost.

Each table is shown only if at least one run has its values.
"""

from ftlab.comparison.formats import Scale, byte_scale, time_scale
from ftlab.comparison.render.extra_table import ExtraTable, extra_table
from ftlab.comparison.render.main_table import metric_column
from ftlab.comparison.render.robustness_table import robustness_table, slice_table
from ftlab.comparison.tables import ComparedRun, Table

_PERCENT = Scale("%", 0.01, 1)


def extra_tables(table: Table) -> tuple[ExtraTable, ...]:
    """Return the extra tables for which this table has values."""
    candidates = (robustness_table(table), slice_table(table), estimate_table(table))
    return tuple(extra for extra in candidates if extra)


def estimate_table(table: Table) -> ExtraTable | None:
    """Return the estimated cost of the runs against the measured one; None if no cost was estimated."""
    rows = [row for row in table.rows if any(run.record.predicted for run in row.runs)]
    if not rows:
        return None
    columns = (
        metric_column("peak memory, predicted", rows, _estimated_memory, byte_scale),
        metric_column("measured", rows, lambda run: run.peak_memory_bytes, byte_scale),
        metric_column("error", rows, lambda run: run.memory_error, lambda values: _PERCENT),
        metric_column("training time, predicted", rows, _estimated_time, time_scale),
        metric_column("measured", rows, lambda run: run.train_s, time_scale),
        metric_column("error", rows, lambda run: run.time_error, lambda values: _PERCENT),
    )
    note = (
        "Predicted from a few steps before the runs (plan=first). An error above 0 is a prediction above what was "
        "measured. Time is by the clock: what else the machine did is in it."
    )
    return extra_table("Predicted and measured", rows, columns, note)


def _estimated_memory(run: ComparedRun) -> float | None:
    return run.record.predicted.memory_bytes.peak if run.record.predicted else None


def _estimated_time(run: ComparedRun) -> float | None:
    return run.record.predicted.train_s if run.record.predicted else None
