"""Parquet files."""

import io
from collections.abc import Iterator
from pathlib import Path

from ftlab.data.formats.opening import PARQUET, opened
from ftlab.data.rows import Row
from ftlab.errors import DataError

_ROWS = 1000  # Python objects at a time


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, a batch of them in memory at a time.

    Raises:
        DataError: it is none, or breaks off.
    """
    import pyarrow
    from pyarrow import parquet

    number = 0
    with opened(path) as raw:
        packed = path.suffix.lower() == ".gz"  # a reader of columns jumps to and fro, which in a packed file is slow
        source = io.BytesIO(raw.read()) if packed else raw
        start = source.read(4)
        if not start:
            return
        if start != PARQUET:
            raise DataError(f"{path} is not a Parquet file, whatever its name: name it, or set dataset.source.format.")
        source.seek(0)
        try:
            file = parquet.ParquetFile(source)
            names = file.schema_arrow.names
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"{path}: two columns have the name {twice!r}: rename one.")
            for batch in file.iter_batches(_ROWS):
                for item in batch.to_pylist():
                    number += 1
                    yield Row(item, f"{path.name}, row {number}")
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(f"{path} is a Parquet file that is damaged or breaks off ({reason}).") from None
