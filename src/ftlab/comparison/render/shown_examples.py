"""Test examples of a table's rows, from predictions.parquet: of each row one run, all with the same seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlab.comparison.tables import ComparedRun, Configuration
from ftlab.record.folder import PREDICTIONS

TEXT, WHERE = "text", "where"  # beginning of the example and location of its row; not every task writes them
_MAX_ROWS = 12  # whose examples are shown side by side


def runs_of_one_seed(rows: Sequence[Configuration]) -> tuple[int, dict[str, ComparedRun]] | None:
    """Return the smallest seed that these rows have in common, and the run of each row with it; None without one.

    At most twelve rows are taken: one of each method first, then other configurations of a method.
    """
    first_of_methods = list({row.method: row for row in reversed(rows)}.values())[::-1]
    rows = [*first_of_methods, *(row for row in rows if row not in first_of_methods)][:_MAX_ROWS]
    common_seeds = set.intersection(*({run.record.seed for run in row.runs} for row in rows)) if rows else set()
    if not common_seeds:
        return None
    seed = min(common_seeds)
    return seed, {row.label: next(run for run in row.runs if run.record.seed == seed) for row in rows}


def read_columns(run: ComparedRun, texts: Sequence[str], others: Sequence[str] = ()) -> Any:
    """Return columns of predictions.parquet, of the run's task and the test split, as an Arrow table.

    Args:
        run: of which the file is.
        texts: columns of text that are needed.
        others: columns that are read if the file has them.

    Returns:
        None if there is no such file, or a needed column is missing or no text.
    """
    path = Path(run.folder) / PREDICTIONS
    if not path.is_file():
        return None
    import pyarrow as pa  # a slow import, so only if there is something to read
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        if any(name not in schema.names or not pa.types.is_string(schema.field(name).type) for name in texts):
            return None
        names = [*texts, *(name for name in others if name in schema.names)]
        if not {"task", "split"} <= set(schema.names):
            return None
        table = file.read(columns=["task", "split", *names])
    except pa.ArrowException:  # a truncated file, as of a full disk; the metrics are in the record anyway
        return None
    is_test_row = pc.and_(pc.equal(table["task"], run.record.task), pc.equal(table["split"], "test"))
    return table.filter(is_test_row).select(names)
