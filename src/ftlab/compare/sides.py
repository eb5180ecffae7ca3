"""The small tables beside a comparison's main one: each appears only where at least one run has what it shows."""

from ftlab.compare.comparison import Run, Table
from ftlab.compare.examined import examined, sliced
from ftlab.compare.formats import Scale, byte_scale, time_scale
from ftlab.compare.sheet import measured
from ftlab.compare.side import Side, side

_PER_CENT = Scale("%", 0.01, 1)


def sides(table: Table) -> tuple[Side, ...]:
    """Return those that this table has."""
    return tuple(found for found in (examined(table), sliced(table), planned(table)) if found)


def planned(table: Table) -> Side | None:
    """Return what was predicted of the runs against what they took; None where none was planned."""
    rows = [row for row in table.rows if any(run.record.predicted for run in row.runs)]
    if not rows:
        return None
    columns = (
        measured("peak memory, predicted", rows, _predicted_memory, byte_scale),
        measured("measured", rows, lambda run: run.peak_memory_bytes, byte_scale),
        measured("error", rows, lambda run: run.memory_error, lambda values: _PER_CENT),
        measured("training time, predicted", rows, _predicted_time, time_scale),
        measured("measured", rows, lambda run: run.train_s, time_scale),
        measured("error", rows, lambda run: run.time_error, lambda values: _PER_CENT),
    )
    note = (
        "Predicted from a few steps before the runs (plan=first). An error above 0 is a prediction above what was "
        "measured. Time is by the clock: what else the machine did is in it."
    )
    return side("Predicted and measured", rows, columns, note)


def _predicted_memory(run: Run) -> float | None:
    return run.record.predicted.memory_bytes.peak if run.record.predicted else None


def _predicted_time(run: Run) -> float | None:
    return run.record.predicted.train_s if run.record.predicted else None
