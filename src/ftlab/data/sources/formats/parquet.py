"""Parquet reader."""

from collections.abc import Iterator
from pathlib import Path

from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.arrow import BATCH_ROWS, damage_reported, misnamed, open_seekable, rows_of_batches
from ftlab.data.sources.formats.text_io import PARQUET


def read_parquet(path: Path) -> Iterator[Row | BadRow]:
    """Yield the rows of a Parquet file, with one batch in memory at a time.

    Raises:
        DataError: it is not a Parquet file, or is truncated.
    """
    from pyarrow import parquet

    with open_seekable(path) as source:
        start = source.read(4)
        if not start:
            return
        if start != PARQUET:
            raise misnamed(path, "a Parquet file")
        source.seek(0)
        with damage_reported(path, "a Parquet file"):
            file = parquet.ParquetFile(source)
            yield from rows_of_batches(file.iter_batches(BATCH_ROWS), file.schema_arrow, path)
