"""Files as bytes and as text: what they are by their first bytes, gzip, and encodings. No file is held as a whole."""

import codecs
import gzip
import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from ftlab.errors import DataError

log = logging.getLogger(__name__)

_START = 32  # bytes by which a file is known
_BLOCK = 1 << 20
_SAMPLE = 1 << 16  # bytes from which an encoding is guessed
_MANY_NON_ASCII = 0.25  # share of bytes; French stays below 0.2, Chinese, Russian or Japanese is above 0.6
_ASCII = bytes(range(128))
_IN_CP1252 = bytes(set(range(256)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
# What files begin with that are none of ours -> what to call them, and what to do.
_OTHERS = {
    b"PK\x03\x04": "a zip archive (or an Excel or Word file, which are ones): unpack it, or export it as csv",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file: export it as csv",
    b"BZh": "a bzip2 archive: unpack it",
    b"\xfd7zXZ": "an xz archive: unpack it",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it",
    b"7z\xbc\xaf": "a 7-zip archive: unpack it",
    b"Rar!": "a rar archive: unpack it",
    b"%PDF": "a PDF: extract its text",
    b"ARROW1": "an Arrow file: save it as Parquet",
    b"SQLite format 3": "an SQLite database: export a table as csv",
    b"\x89HDF": "an HDF5 file: export it as csv",
    b"version https://git-lfs": "a Git LFS pointer and not the data: run git lfs pull",
}
_MARKUP = (b"<!doctype", b"<html", b"<?xml")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; one that gzip packed is unpacked, whatever its name.

    Raises:
        DataError: it does not exist, is a folder, is of no kind that holds rows, or breaks off.
    """
    try:
        with path.open("rb") as raw:
            start = raw.read(_START)
            raw.seek(0)
            if not start.startswith(GZIP):
                _require_known(path, start)
                if path.suffix.lower() == ".gz" and start:
                    raise DataError(f"{path} is named .gz and gzip did not pack it: rename it.")
                yield raw
                return
            with gzip.open(raw) as unpacked:
                _require_known(path, unpacked.peek(_START))
                yield unpacked  # type: ignore[misc]  # a BinaryIO in all but name
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: give a path that starts in {Path.cwd()}, or a full one.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, and a file is expected here.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} breaks off or is damaged ({error}): fetch it again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def _require_known(path: Path, start: bytes) -> None:
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            raise DataError(f"{path} is {what}.")


@contextmanager
def opened_text(path: Path, encoding: str | None) -> Iterator[IO[str]]:
    """Open a text file, line ends as they are.

    Args:
        path: the file.
        encoding: e.g. gb18030; null: UTF-8, or else Western European, which is logged.

    Raises:
        DataError: see `opened`; or this is no text, or not of that encoding.
    """
    settled = _settled(path, encoding)
    with opened(path) as raw, io.TextIOWrapper(raw, encoding=settled, newline="") as text:
        yield text


def lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line, without its end."""
    with opened_text(path, encoding) as text:
        # The file's own line ends alone: other texts' line separators (U+2028) are part of a line.
        for number, line in enumerate(text, 1):
            yield number, line.rstrip("\n").removesuffix("\r")


def whole(path: Path, encoding: str | None) -> str:
    """Return the text of a file."""
    with opened_text(path, encoding) as text:
        return text.read()


def decode(raw: bytes, encoding: str) -> str:
    """Decode bytes, taking a byte-order mark for what it is: a mark of UTF-8 or UTF-16, never part of the text."""
    return raw.decode(_marked(raw, encoding))


def _marked(start: bytes, encoding: str) -> str:
    """Return the encoding of a text that begins like this."""
    if start.startswith(_UTF16):
        return "utf-16"
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def _settled(path: Path, encoding: str | None) -> str:
    """Read the file once to know how to decode it, so that nothing of a broken one is taken for rows."""
    with opened(path) as raw:
        start = raw.read(_SAMPLE)
        if start.startswith(PARQUET):
            raise DataError(f"{path} is a Parquet file: name it .parquet, or set dataset.source.format=parquet.")
        if start.lstrip()[:9].lower().startswith(_MARKUP):
            raise DataError(f"{path} is a web page or XML and holds no rows: was it fetched from the right address?")
        try:
            settled = _marked(start, encoding or "utf-8")
        except LookupError:
            raise DataError(f"dataset.source.encoding={encoding} is no encoding that Python knows.") from None
        seen = _Survey(settled)
        block = start
        while block:
            seen.add(block)
            block = raw.read(_BLOCK)
        seen.end()
    if seen.nul is not None:
        raise DataError(
            f"{path}:{seen.nul}: this file holds a NUL byte and is no text: is it of another format, or damaged?"
        )
    if seen.returns and not seen.feeds:
        raise DataError(f"{path} ends its lines with a lone carriage return, as old Macs did: convert the line ends.")
    if seen.wrong is None:
        return settled
    if encoding or settled == "utf-16":
        raise DataError(
            f"{path}:{seen.wrong}: this is not {encoding or settled}: set dataset.source.encoding to what it is."
        )
    if seen.foreign / seen.size > _MANY_NON_ASCII:
        raise DataError(
            f"{path}:{seen.wrong}: this is not UTF-8{_guess(start)}: set dataset.source.encoding to what it is."
        )
    western = "cp1252" if seen.western else "latin-1"  # cp1252 has curly quotes, latin-1 knows every byte
    log.warning("%s is not UTF-8 (line %d) and was read as %s: see dataset.source.encoding.", path, seen.wrong, western)
    return western


class _Survey:
    """What the bytes of a text are, block by block.

    Attributes:
        wrong: first line that is not of the encoding.
        nul: first line with a NUL byte, in encodings whose characters are bytes.
        size: bytes.
        foreign: bytes that are not ASCII.
        western: whether cp1252 knows all of them.
        feeds: whether there is a line feed.
        returns: whether there is a carriage return.
    """

    def __init__(self, encoding: str) -> None:
        """Start at the first line."""
        self.wrong: int | None = None
        self.nul: int | None = None
        self.size = self.foreign = 0
        self.western, self.feeds, self.returns = True, False, False
        self._line = 1
        self._wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        self._decode(block)
        if not self._wide and self.nul is None and (at := block.find(0)) >= 0:
            self.nul = self._line + block.count(b"\n", 0, at)
        self._line += block.count(b"\n")
        self.size += len(block)
        self.foreign += len(block.translate(None, _ASCII))
        self.western = self.western and not block.translate(None, _IN_CP1252)
        self.feeds, self.returns = self.feeds or b"\n" in block, self.returns or b"\r" in block

    def end(self) -> None:
        """Say that there is no more: a character that is not whole is wrong."""
        self._decode(b"")

    def _decode(self, block: bytes) -> None:
        if self.wrong is None:
            held = len(self._decoder.getstate()[0])  # bytes of a character that began in the block before
            try:
                self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                self.wrong = self._line + block.count(b"\n", 0, max(0, error.start - held))


def _guess(start: bytes) -> str:
    """Only a suggestion: which of the Cyrillic or Chinese encodings it is, statistics get wrong too often."""
    from charset_normalizer import from_bytes

    whole_lines, found, _ = start.rpartition(b"\n")  # the sample may end within a character
    best = from_bytes(whole_lines if found else start).best()
    return f", maybe {best.encoding}" if best else ""
