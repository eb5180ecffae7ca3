"""Reader of Arrow files (also Feather), and the rows of Arrow tables, with class names where the schema has them."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ftlab.core.errors import DataError, reason
from ftlab.data.rows.row import BadRow, Row
from ftlab.data.sources.formats.class_names import class_decoders, decoded_row, features_in_schema
from ftlab.data.sources.formats.text_io import ARROW_FILE, ARROW_STREAM, FEATHER_V1, open_binary

if TYPE_CHECKING:
    import pyarrow

BATCH_ROWS = 1000  # as Python objects in memory
STATE_FILE = "state.json"  # in a folder that `datasets.Dataset.save_to_disk` wrote


def read_arrow(path: Path) -> Iterator[Row | BadRow]:
    """Yield the rows of an Arrow file in the file or the stream format, with one batch in memory at a time.

    Raises:
        DataError: it is not an Arrow file, or is truncated.
    """
    from pyarrow import feather, ipc

    with open_seekable(path) as source:
        start = source.read(8)
        if not start:
            return
        source.seek(0)
        with damage_reported(path, "an Arrow file"):
            if start.startswith(ARROW_FILE):
                reader = ipc.open_file(source)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
                yield from rows_of_batches(batches, reader.schema, path)
            elif start.startswith(ARROW_STREAM):
                reader = ipc.open_stream(source)
                yield from rows_of_batches(reader, reader.schema, path)
            elif start.startswith(FEATHER_V1):
                table = feather.read_table(source)
                yield from rows_of_batches(table.to_batches(), table.schema, path)
            else:
                raise misnamed(path, "an Arrow file")


def misnamed(path: Path, description: str) -> DataError:
    """Return the error that a file is another one than its extension says; `description`: as `a Parquet file`."""
    return DataError(f"{path} is not {description} in spite of its name: rename it, or set dataset.source.format.")


@contextmanager
def open_seekable(path: Path) -> Iterator[BinaryIO]:
    """Open a file whose reader seeks a lot: a compressed one, where that is slow, is in memory as a whole."""
    with open_binary(path) as raw:
        yield io.BytesIO(raw.read()) if path.suffix.lower() == ".gz" else raw


@contextmanager
def damage_reported(path: Path, description: str) -> Iterator[None]:
    """Turn an error of the Arrow library into a sentence; `description`: what the file is, as `a Parquet file`."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        problem = reason(error, named=path)
        raise DataError(
            f"{path} is {description} that is damaged or truncated ({problem}): fetch or save it again."
        ) from None


def rows_of_batches(
    batches: "Iterable[pyarrow.RecordBatch]", schema: "pyarrow.Schema", path: Path
) -> Iterator[Row | BadRow]:
    """Yield the rows of these batches; class ids become names if the schema has them.

    A row with a value that Python cannot hold, such as a text that is not UTF-8, is a bad row.

    Raises:
        DataError: two columns have the same name.
    """
    duplicate = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if duplicate is not None:
        raise DataError(f"{path}: two columns have the name {duplicate!r}: rename one.")
    decoders = class_decoders(features_in_schema(schema.metadata))
    # saved splits have files of equal names
    name = f"{path.parent.name}/{path.name}" if (path.parent / STATE_FILE).is_file() else path.name
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, BATCH_ROWS):
            for values in _values(batch.slice(start, BATCH_ROWS)):
                number += 1
                where = f"{name}, row {number}"
                if isinstance(values, str):
                    yield BadRow(where, "unreadable value", values)
                else:
                    yield decoded_row(values, where, decoders)


def _values(batch: "pyarrow.RecordBatch") -> Iterator[dict[str, Any] | str]:
    """Yield column -> value of each row, or why Python cannot hold a value of it."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError):  # in one of these rows
        pass
    for index in range(batch.num_rows):
        values, problem = dict[str, Any](), ""
        for column in batch.schema.names:
            try:
                values[column] = batch.column(column)[index].as_py()
            except UnicodeDecodeError:
                problem = f"column {column!r} holds text that is not UTF-8: save the file again with valid text"
            except (ValueError, OverflowError) as error:
                problem = f"column {column!r} holds a value that cannot be read ({reason(error)}): correct it"
        yield problem or values
