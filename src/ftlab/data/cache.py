"""Folders of Arrow files that are kept from run to run, each known by all that decides what is in it.

FTLAB_TOKEN_CACHE_GB bounds what they take, rows and tokenized examples each (20), and 0 switches keeping off; the
folders may be deleted at any time.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa

from ftlab.assets import build_once
from ftlab.errors import UserError

_BOUND, _DEFAULT_GB = "FTLAB_TOKEN_CACHE_GB", 20.0
_META = "meta.json"
_GB = 10**9

T = TypeVar("T")


def bound() -> float:
    """Return how many bytes the cache may take; 0: it is off.

    Raises:
        UserError: the environment variable is no such number.
    """
    given = os.environ.get(_BOUND, str(_DEFAULT_GB))
    try:
        size = float(given) * _GB
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise UserError(f"{_BOUND}={given} is no number of gigabytes: set it to 0 (no cache) or more.")
    return size


def name(known_by: Any) -> str:
    """Return the name of the folder of what is known by this JSON value."""
    return digest(known_by)[:32]


def digest(value: Any) -> str:
    """Return 64 hex digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def seal(folder: Path, told: Mapping[str, Any]) -> None:
    """Write down what there is to say of the Arrow files of a folder, and how large each is."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("*.arrow"))}
    (folder / _META).write_text(json.dumps({**told, "sizes": sizes}), encoding="utf-8")


def unsealed(folder: Path) -> dict[str, Any]:
    """Return what `seal` wrote, with `sizes`: file -> bytes.

    Raises:
        OSError, ValueError, KeyError, TypeError: the folder is not whole.
    """
    meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
    for file, size in meta["sizes"].items():
        if (folder / file).stat().st_size != size:
            raise ValueError(f"{file} is not whole")
    (folder / _META).touch()  # what was used last goes last
    return meta


def kept(
    folder: Path, most: float, build: Callable[[Path], None], read: Callable[[Path], T]
) -> tuple[T, Literal["found", "mended", "stored"]]:
    """Return what a folder of the cache holds, built first where it is not there or not whole, and which it was.

    Args:
        folder: of the cache; see `name`.
        most: bytes that the cache may take.
        build: fills the folder.
        read: reads what is in it.

    Raises:
        UserError: the cache cannot be written.
    """
    how: Literal["mended", "stored"] = "stored"
    if folder.is_dir():
        try:
            return read(folder), "found"
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            shutil.rmtree(folder, ignore_errors=True)
            how = "mended"
    build_once(folder, build)
    make_room(folder, most)
    return read(folder), how


def make_room(newest: Path, most: float) -> None:
    """Remove what was not used for longest until the rest is within the bound; the newest stays whatever its size."""
    found = []
    for meta in newest.parent.glob(f"*/{_META}"):
        with suppress(FileNotFoundError):  # another run makes room too
            size = sum(path.stat().st_size for path in meta.parent.iterdir())
            found.append((meta.stat().st_mtime, meta.parent, size))
    left = sum(size for _, _, size in found)
    for _, entry, size in sorted(found):
        if left > most and entry != newest:
            shutil.rmtree(entry, ignore_errors=True)
            left -= size
