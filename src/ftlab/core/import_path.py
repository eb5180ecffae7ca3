"""Search path of imports: the working directory comes last, so that no file in it hides a library."""

import os
import sys
from pathlib import Path

# Environment variable with which Python leaves the working directory out of the path of `python -c` and `python -m`.
SAFE_PATH = "PYTHONSAFEPATH"
_OWN_ROOT = str(Path(__file__).resolve().parents[2])


def search_cwd_last(*, searched: bool = True) -> None:
    """Move the working directory to the end of the search path, or remove it, wherever it is there.

    Args:
        searched: whether modules are searched in it at all; ftlab's own folder stays.
    """
    cwd = os.getcwd()
    others = [entry for entry in sys.path if os.path.abspath(entry) != cwd]  # an empty entry is the working directory
    sys.path[:] = [*others, cwd] if searched or cwd == _OWN_ROOT else others
