"""Glob patterns: the paths that a pattern matches, in natural order, so that part-2 comes before part-10."""

import glob
import re
from pathlib import Path

_DIGITS = re.compile(r"(\d+)")


def is_pattern(name: str) -> bool:
    """Return whether a name has a wildcard and is not itself the name of something that exists."""
    return glob.has_magic(name) and not Path(name).expanduser().exists()


def matches(pattern: str) -> list[Path]:
    """Return what a pattern matches, relative to the working directory; `**` leads through folders."""
    return sorted(map(Path, glob.glob(str(Path(pattern).expanduser()), recursive=True)), key=natural_order)


def natural_order(path: Path) -> list[tuple[int, int | str]]:
    """Return the key that sorts paths by the numbers in them, not by their digits."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in _DIGITS.split(str(path))]
