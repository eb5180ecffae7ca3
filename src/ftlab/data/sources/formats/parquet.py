"""Parquet reader."""

import io
from collections.abc import Iterator
from pathlib import Path

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import Row
from ftlab.data.sources.formats.text_io import PARQUET, open_binary

_BATCH_ROWS = 1000  # as Python objects in memory


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, with one batch in memory at a time.

    Raises:
        DataError: it is not a Parquet file, or is truncated.
    """
    import pyarrow
    from pyarrow import parquet

    number = 0
    with open_binary(path) as raw:
        compressed = path.suffix.lower() == ".gz"  # the reader seeks a lot, which is slow in a compressed file
        source = io.BytesIO(raw.read()) if compressed else raw
        start = source.read(4)
        if not start:
            return
        if start != PARQUET:
            raise DataError(
                f"{path} is not a Parquet file in spite of its name: rename it, or set dataset.source.format."
            )
        source.seek(0)
        try:
            file = parquet.ParquetFile(source)
            names = file.schema_arrow.names
            duplicate = next((name for name in names if names.count(name) > 1), None)
            if duplicate is not None:
                raise DataError(f"{path}: two columns have the name {duplicate!r}: rename one.")
            for batch in file.iter_batches(_BATCH_ROWS):
                for item in batch.to_pylist():
                    number += 1
                    yield Row(item, f"{path.name}, row {number}")
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            problem = reason(error, named=path)
            raise DataError(
                f"{path} is a Parquet file that is damaged or truncated ({problem}): fetch or save it again."
            ) from None
