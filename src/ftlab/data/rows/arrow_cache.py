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

from ftlab.core.checksums import last_uses, mark_used
from ftlab.core.downloads import build_once
from ftlab.core.errors import UserError

_SIZE_VARIABLE, _DEFAULT_GB = "FTLAB_TOKEN_CACHE_GB", 20.0
_META = "meta.json"
_FORMAT = 2  # of the folders; 1 had no checksums
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
    return json_sha256([_FORMAT, cache_key])[:32]


def json_sha256(value: Any) -> str:
    """Return the SHA-256 of a JSON value, as 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def write_metadata(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write meta.json: this metadata, and the names of the Arrow files in the folder."""
    names = sorted(path.name for path in folder.glob("*.arrow"))
    (folder / _META).write_text(json.dumps({**metadata, "files": names}), encoding="utf-8")


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what `write_metadata` wrote, with `files`: the names of the Arrow files.

    Raises:
        OSError, ValueError: the folder is incomplete.
    """
    meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
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
    existed, builds = folder.is_dir(), 0

    def counted_build(new_folder: Path) -> None:
        nonlocal builds
        builds += 1
        build(new_folder)

    build_once(folder, counted_build, durably=False)  # a damaged folder is noticed and built again
    try:
        content = read(folder)
    except FileNotFoundError:  # another run has evicted it
        build_once(folder, counted_build, durably=False)
        content = read(folder)
    mark_used(folder)
    if builds:
        evict_oldest(folder, max_bytes)
    return content, ("rebuilt" if existed else "built") if builds else "loaded"


def evict_oldest(newest: Path, max_bytes: float) -> None:
    """Remove the least recently used folders until the cache is within its limit; never remove the newest folder."""
    entries = []
    for last_use, folder in last_uses(newest.parent):
        with suppress(FileNotFoundError):  # another run evicts at the same time
            entries.append((last_use, folder, sum(path.stat().st_size for path in folder.iterdir())))
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total > max_bytes and folder != newest:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
