"""A source: the user's own files. csv, tsv, json, jsonl, parquet and txt by their extension, .gz or not."""

import csv
import gzip
import io
import json
import logging
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlab.data.rows import Row, Splits
from ftlab.errors import DataError, did_you_mean

log = logging.getLogger(__name__)

_MANY_NON_ASCII = 0.25  # share of bytes; French stays below 0.2, Chinese, Russian or Japanese is above 0.6
_LONGEST_FIELD = 2**31 - 1  # csv's own limit of 128 KiB is shorter than some documents


def read(
    train: str,
    val: str | None = None,
    test: str | None = None,
    names: list[str] | None = None,
    quotes: bool | None = None,
    encoding: str | None = None,
) -> Splits:
    """Read one file per split; paths are relative to the working directory.

    Args:
        train: file with the training rows. What has no file of its own is carved from these.
        val: file with the validation rows.
        test: file with the test rows.
        names: column names of csv and tsv files without a header line.
        quotes: whether "…" in csv and tsv files encloses a field; null: in csv it does, in tsv it does not.
        encoding: e.g. gb18030; null: UTF-8, or else Western European, which is logged.

    Raises:
        DataError: a file is missing, empty or broken; names the file and, where there is one, the line.
    """
    paths = {"train": train, "val": val, "test": test}
    return {
        split: read_file(Path(path).expanduser(), names=names, quotes=quotes, encoding=encoding)
        for split, path in paths.items()
        if path is not None
    }


def read_file(
    path: Path, *, names: list[str] | None = None, quotes: bool | None = None, encoding: str | None = None
) -> list[Row]:
    """Read the rows of one file; see `read`."""
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    known = (".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt")
    if kind not in known:
        raise DataError(f"{path} is of no kind that can be read: {did_you_mean(kind, known)}.")
    raw = _bytes(path)
    if kind == ".parquet":
        rows = _parquet(raw, path)
    else:
        text = _decode(raw, path, encoding)
        if kind in (".csv", ".tsv"):
            enclosed = kind == ".csv" if quotes is None else quotes
            rows = list(_table(text, path, delimiter="," if kind == ".csv" else "\t", names=names, quotes=enclosed))
        elif kind == ".txt":
            rows = list(_paragraphs(text, path))
        elif kind == ".json" and text.lstrip().startswith("["):
            rows = _json_list(text, path)
        else:
            rows = list(_json_lines(text, path))
    if not rows:
        raise DataError(f"{path} holds no rows.")
    return rows


def read_text(path: Path, encoding: str | None = None) -> str:
    """Return the text of a file, .gz or not; see `read` for the encoding and the errors."""
    return _decode(_bytes(path), path, encoding)


def decode(raw: bytes, encoding: str) -> str:
    """Decode bytes, taking a byte-order mark for what it is: a mark of UTF-8 or UTF-16, never part of the text."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    return raw.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: give a path that starts in {Path.cwd()}, or a full one.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _decode(raw: bytes, path: Path, encoding: str | None) -> str:
    try:
        return decode(raw, encoding or "utf-8")
    except LookupError:
        raise DataError(f"dataset.source.encoding={encoding} is no encoding that Python knows.") from None
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        if encoding:
            raise DataError(
                f"{path}:{line}: this is not {encoding}: set dataset.source.encoding to what it is."
            ) from None
        if sum(byte > 127 for byte in raw) / len(raw) > _MANY_NON_ASCII:
            raise DataError(
                f"{path}:{line}: this is not UTF-8{_guess(raw)}: set dataset.source.encoding to what it is."
            ) from None
        western = "cp1252" if _is(raw, "cp1252") else "latin-1"  # cp1252 has curly quotes, latin-1 knows every byte
        log.warning("%s is not UTF-8 (line %d) and was read as %s: see dataset.source.encoding.", path, line, western)
        return raw.decode(western)


def _is(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _guess(raw: bytes) -> str:
    """Only a suggestion: which of the Cyrillic or Chinese encodings it is, statistics get wrong too often."""
    from charset_normalizer import from_bytes

    best = from_bytes(raw).best()
    return f", maybe {best.encoding}" if best else ""


def _table(text: str, path: Path, *, delimiter: str, names: list[str] | None, quotes: bool) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        strict=True,
    )
    header = names
    line = 1  # where the present row starts: a quoted field may span lines
    try:
        for fields in reader:
            if not fields:
                pass  # a blank line
            elif header is None:
                header = [name.strip() for name in fields]
            elif len(fields) != len(header):
                raise DataError(
                    f"{path}:{line}: {len(fields)} fields where {len(header)} are expected ({', '.join(header)}): "
                    "enclose fields that contain the delimiter, a quote or a line break in double quotes"
                    f"{'' if quotes else ' and set dataset.source.quotes=true'}."
                )
            else:
                yield Row(dict(zip(header, fields, strict=True)), f"{path.name}:{line}")
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: a quote is not closed or doubled ({error}): mend it, or try dataset.source.quotes=false."
        ) from None


def _json_list(text: str, path: Path) -> list[Row]:
    items = _json(text, path, 1)
    return [Row(_object(item, f"{path.name}, item {n}"), f"{path.name}, item {n}") for n, item in enumerate(items, 1)]


def _json_lines(text: str, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: JSON text may hold U+2028 unescaped
        if line.strip():
            where = f"{path.name}:{number}"
            yield Row(_object(_json(line, path, number), where), where)


def _json(text: str, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = first_line + getattr(error, "lineno", 1) - 1
        reason = getattr(error, "msg", "nested too deeply")
        raise DataError(
            f"{path}:{line}: this is not valid JSON ({reason}): needed is a list of objects, or an object per line."
        ) from None


def _object(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise DataError(f"{where}: this is no JSON object: every row is an object of column names and values.")
    return item


def _parquet(raw: bytes, path: Path) -> list[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(raw))
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is not a Parquet file that can be read ({str(error).splitlines()[0]}).") from None
    return [Row(item, f"{path.name}, row {n}") for n, item in enumerate(table.to_pylist(), 1)]


def _paragraphs(text: str, path: Path) -> Iterator[Row]:
    """Documents of a plain text file are what blank lines set apart."""
    lines: list[str] = []
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], 1):
        if line.strip():
            lines.append(line)
        elif lines:
            yield Row({"text": "\n".join(lines)}, f"{path.name}:{number - len(lines)}")
            lines = []
