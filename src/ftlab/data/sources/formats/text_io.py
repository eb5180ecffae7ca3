"""Streaming input of files: file type by the first bytes, gzip, and detection of the text encoding."""

import codecs
import gzip
import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from ftlab.core.errors import DataError, reason

log = logging.getLogger(__name__)

_START = 32  # bytes that identify the type of a file
_BLOCK = 1 << 20  # bytes read at a time
_SAMPLE = 1 << 16  # bytes from which an encoding is guessed
_MANY_NON_ASCII = 0.25  # fraction of bytes; French stays below 0.2, Chinese, Russian or Japanese is above 0.6
_ASCII = bytes(range(128))
_IN_CP1252 = bytes(set(range(256)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
ARROW_FILE, ARROW_STREAM, FEATHER_V1 = b"ARROW1", b"\xff\xff\xff\xff", b"FEA1"
# First bytes of unsupported files -> their name, and what to do.
_UNSUPPORTED = {
    b"PK\x03\x04": "a zip archive (as Excel and Word files are): unpack it, or export it as csv",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file: export it as csv",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it",
    b"7z\xbc\xaf": "a 7-zip archive: unpack it",
    b"Rar!": "a rar archive: unpack it",
    b"%PDF": "a PDF: extract its text",
    b"SQLite format 3": "an SQLite database: export a table as csv",
    b"\x89HDF": "an HDF5 file: export it as csv",
    b"version https://git-lfs": "a Git LFS pointer, not the data: run git lfs pull",
}
_MARKUP = (b"<!doctype", b"<html", b"<?xml")


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; a gzip file is decompressed, whatever its name.

    Raises:
        DataError: it does not exist, is a folder, is of an unsupported type, or is truncated.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(_START)
            raw.seek(0)
            if not start.startswith(GZIP):
                _require_supported(path, start)
                if path.suffix.lower() == ".gz" and start:
                    raise DataError(f"{path} is named .gz and is not a gzip file: rename it.")
                yield raw
                return
            with gzip.open(raw) as decompressed:
                _require_supported(path, decompressed.peek(_START))
                yield decompressed  # type: ignore[misc]  # has all methods of BinaryIO
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: give a path relative to {Path.cwd()}, or a full one.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a file: name a file in it.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({reason(error)}): fetch it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {reason(error, named=path)}.") from None


def refuse_unsupported(path: Path) -> None:
    """Refuse a file whose first bytes are those of an unsupported type; see `open_binary`."""
    with open_binary(path):
        pass


def _require_supported(path: Path, start: bytes) -> None:
    for magic, description in _UNSUPPORTED.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {description}.")


@contextmanager
def open_text(path: Path, encoding: str | None) -> Iterator[IO[str]]:
    """Open a text file without translating its line ends.

    Args:
        path: the file.
        encoding: e.g. gb18030; None: UTF-8, or if that fails Western European, which is logged.

    Raises:
        DataError: see `open_binary`; or the file is not text, or not of that encoding.
    """
    detected = _detect_encoding(path, encoding)
    with open_binary(path) as raw, io.TextIOWrapper(raw, encoding=detected, newline="") as text:
        yield text


def numbered_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, without its line end."""
    with open_text(path, encoding) as text:
        # Only line feeds end a line: Unicode's line separator (U+2028) is part of the text.
        for number, line in enumerate(text, 1):
            yield number, line.rstrip("\n").removesuffix("\r")


def read_text(path: Path, encoding: str | None) -> str:
    """Return the text of a file."""
    with open_text(path, encoding) as text:
        return text.read()


def decode(raw: bytes, encoding: str) -> str:
    """Decode bytes; a byte-order mark selects UTF-8 or UTF-16 and is not part of the text."""
    return raw.decode(_encoding_by_bom(raw, encoding))


def _encoding_by_bom(start: bytes, encoding: str) -> str:
    """Return the encoding by the byte-order mark at the start of a text; without one, the given encoding."""
    if start.startswith(_UTF16):
        return "utf-16"
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _detect_encoding(path: Path, encoding: str | None) -> str:
    """Read the whole file once and return its encoding, so that a broken file is refused before it yields rows."""
    with open_binary(path) as raw:
        start = raw.read(_SAMPLE)
        if start.startswith(PARQUET):
            raise DataError(f"{path} is a Parquet file: name it .parquet, or set dataset.source.format=parquet.")
        if start.startswith((ARROW_FILE, ARROW_STREAM, FEATHER_V1)):
            raise DataError(f"{path} is an Arrow file: name it .arrow, or set dataset.source.format=arrow.")
        if start.lstrip()[:9].lower().startswith(_MARKUP):
            raise DataError(f"{path} is a web page or XML, not data: was it fetched from the right address?")
        try:
            candidate = _encoding_by_bom(start, encoding or "utf-8")
        except LookupError:
            raise DataError(
                f"dataset.source.encoding={encoding} is unknown to Python: name one of its standard encodings."
            ) from None
        scan = _TextScan(candidate)
        block = start
        while block:
            scan.add(block)
            block = raw.read(_BLOCK)
        scan.end()
    if scan.nul_line is not None:
        raise DataError(
            f"{path}:{scan.nul_line}: this file holds a NUL byte and is not text: is it of another format, or damaged?"
        )
    if scan.has_returns and not scan.has_feeds:
        raise DataError(f"{path} ends its lines with a lone carriage return, as on old Macs: convert the line ends.")
    if scan.invalid_line is None:
        return candidate
    if encoding or candidate == "utf-16":
        raise DataError(
            f"{path}:{scan.invalid_line}: this is not {encoding or candidate}: "
            "set dataset.source.encoding to the file's encoding."
        )
    if scan.num_non_ascii / scan.num_bytes > _MANY_NON_ASCII:
        raise DataError(
            f"{path}:{scan.invalid_line}: this is not UTF-8{_guess(start)}: "
            "set dataset.source.encoding to the file's encoding."
        )
    western = "cp1252" if scan.is_cp1252 else "latin-1"  # cp1252 has curly quotes, latin-1 decodes every byte
    log.warning(
        "%s is not UTF-8 (line %d) and was read as %s: set dataset.source.encoding if that is wrong.",
        path,
        scan.invalid_line,
        western,
    )
    return western


class _TextScan:
    """Statistics of a text's bytes, collected block by block.

    Attributes:
        invalid_line: first line that is not valid in the encoding.
        nul_line: first line with a NUL byte, in encodings with single-byte ASCII.
        num_bytes: of the text.
        num_non_ascii: bytes that are not ASCII.
        is_cp1252: whether all bytes are valid in cp1252.
        has_feeds: whether there is a line feed.
        has_returns: whether there is a carriage return.
    """

    def __init__(self, encoding: str) -> None:
        """Start at the first line."""
        self.invalid_line: int | None = None
        self.nul_line: int | None = None
        self.num_bytes = self.num_non_ascii = 0
        self.is_cp1252, self.has_feeds, self.has_returns = True, False, False
        self._line = 1
        self._wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def add(self, block: bytes) -> None:
        """Scan the next block."""
        self._decode(block)
        if not self._wide and self.nul_line is None and (position := block.find(0)) >= 0:
            self.nul_line = self._line + block.count(b"\n", 0, position)
        self._line += block.count(b"\n")
        self.num_bytes += len(block)
        self.num_non_ascii += len(block.translate(None, _ASCII))
        self.is_cp1252 = self.is_cp1252 and not block.translate(None, _IN_CP1252)
        self.has_feeds, self.has_returns = self.has_feeds or b"\n" in block, self.has_returns or b"\r" in block

    def end(self) -> None:
        """End the text: an incomplete character at its end is invalid."""
        self._decode(b"")

    def _decode(self, block: bytes) -> None:
        if self.invalid_line is None:
            pending = len(self._decoder.getstate()[0])  # bytes of a character that began in the block before
            try:
                self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                self.invalid_line = self._line + block.count(b"\n", 0, max(0, error.start - pending))


def _guess(start: bytes) -> str:
    """Return a likely encoding for a message; statistics confuse Cyrillic or Chinese encodings too often to rely on."""
    from charset_normalizer import from_bytes

    complete_lines, line_end, _ = start.rpartition(b"\n")  # the sample may end within a character
    best = from_bytes(complete_lines if line_end else start).best()
    return f", maybe {best.encoding}" if best else ""
