"""Cache folders of Arrow files, kept from run to run and named by a hash of everything that determines their content.

FTLAB_TOKEN_CACHE_GB limits their size on disk (20 by default), once for rows and once for tokenized examples; 0 turns
the cache off. The folders may be deleted at any time.
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

from ftlab.core.downloads import build_once
from ftlab.core.errors import UserError

_SIZE_VARIABLE, _DEFAULT_GB = "FTLAB_TOKEN_CACHE_GB", 20.0
_META = "meta.json"
_GB = 10**9

T = TypeVar("T")


def max_cache_bytes() -> float:
    """Return the size limit of the cache in bytes; 0: the cache is off.

    Raises:
        UserError: the environment variable is not a valid size.
    """
    gigabytes = os.environ.get(_SIZE_VARIABLE, str(_DEFAULT_GB))
    try:
        size = float(gigabytes) * _GB
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise UserError(f"{_SIZE_VARIABLE}={gigabytes} is not a number of gigabytes: set it to 0 (no cache) or more.")
    return size


def folder_name(cache_key: Any) -> str:
    """Return the name of the folder for a cache key, which is a JSON value."""
    return json_sha256(cache_key)[:32]


def json_sha256(value: Any) -> str:
    """Return the SHA-256 of a JSON value, as 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write meta.json: this metadata and the size of each Arrow file in the folder."""
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("*.arrow"))}
    (folder / _META).write_text(json.dumps({**metadata, "sizes": sizes}), encoding="utf-8")


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what `write_metadata` wrote, with `sizes`: file -> bytes. Check that the files have these sizes.

    Raises:
        OSError, ValueError, KeyError, TypeError: the folder is incomplete.
    """
    meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
    for file, size in meta["sizes"].items():
        if (folder / file).stat().st_size != size:
            raise ValueError(f"{file} is incomplete")
    (folder / _META).touch()  # marks the folder as used, for `evict_oldest`
    return meta


def load_or_build(
    folder: Path, max_bytes: float, build: Callable[[Path], None], read: Callable[[Path], T]
) -> tuple[T, Literal["loaded", "rebuilt", "built"]]:
    """Return the content of a cache folder, and how it was obtained. Build it if it is missing or damaged.

    Args:
        folder: of the cache; see `folder_name`.
        max_bytes: size limit of the cache.
        build: fills the folder.
        read: reads the folder.

    Raises:
        UserError: the cache cannot be written.
    """
    status: Literal["rebuilt", "built"] = "built"
    if folder.is_dir():
        try:
            return read(folder), "loaded"
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            shutil.rmtree(folder, ignore_errors=True)
            status = "rebuilt"
    build_once(folder, build, durably=False)  # a damaged folder is noticed and built again
    evict_oldest(folder, max_bytes)
    return read(folder), status


def evict_oldest(newest: Path, max_bytes: float) -> None:
    """Remove the least recently used folders until the cache is within its limit; never remove the newest folder."""
    entries = []
    for meta in newest.parent.glob(f"*/{_META}"):
        with suppress(FileNotFoundError):  # another run evicts at the same time
            size = sum(path.stat().st_size for path in meta.parent.iterdir())
            entries.append((meta.stat().st_mtime, meta.parent, size))
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total > max_bytes and folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
